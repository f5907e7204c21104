// Any bytes are an array, a mask and a pattern, or the compressed form of one: what is counted and
// packed agrees with the mask, sums of scores are those of a plain copy, and indices that lead out
// of their group are found.
#include <bit>
#include <cmath>
#include <vector>

#include "reader.hpp"
#include "tnm/compress.hpp"
#include "tnm/count.hpp"
#include "tnm/retained.hpp"

namespace tnm::test {
namespace {

std::size_t groups_of(const Shape& shape, int m) {
    return static_cast<std::size_t>(shape[0] * shape[1] * ((shape[2] + m - 1) / m));
}

MutableElementsView elements_of(Array& array) {
    const ArrayView view = array.view();
    return {const_cast<std::byte*>(view.data), item_size(array.dtype()), view.strides};
}

// What group `g` along the last axis keeps.
int kept_in_group(const MaskArray& mask, int m, std::size_t g) {
    const std::int64_t columns = mask.shape()[2], across = (columns + m - 1) / m;
    const auto number = static_cast<std::int64_t>(g);
    const std::int64_t line = number / across, first = number % across * m;
    int kept = 0;
    for (std::int64_t j = first; j < std::min(first + m, columns); ++j)
        kept += mask.get(line * columns + j);
    return kept;
}

CountsView counts_view(std::vector<std::uint8_t>& counts, const Shape& shape) {
    CountsView view{counts.data(), {}};
    view.strides.rank = 3;
    view.strides.shape = {shape[0], shape[1], shape[2]};
    view.strides.bytes = {shape[1] * shape[2], shape[2], 1};
    return view;
}

void check_counts(const MaskArray& mask, const Pattern& pattern, const Execution& execution) {
    const Shape& shape = mask.shape();
    const int m = pattern.m;
    const Shape rows{shape[0], shape[1], (shape[2] + m - 1) / m};
    const Shape columns{shape[0], (shape[1] + m - 1) / m, shape[2]};
    std::vector<std::uint8_t> in_rows(groups_of(shape, m), 0xee);
    std::vector<std::uint8_t> in_columns(
        static_cast<std::size_t>(columns[0] * columns[1] * columns[2]), 0xee);
    CountedMask counted;
    TNM_CHECK(count_kept(mask.const_view(), {pattern, false, false}, counts_view(in_rows, rows),
                         counts_view(in_columns, columns), counted, execution) == Status::ok);
    std::int64_t total = 0;
    bool valid = true;
    for (std::size_t g = 0; g < in_rows.size(); ++g) {
        TNM_CHECK_EQUAL(in_rows[g], kept_in_group(mask, m, g));
        total += in_rows[g];
        valid &= in_rows[g] <= pattern.n;
    }
    TNM_CHECK_EQUAL(counted.kept, total);
    TNM_CHECK(counted.first_bad_tile.has_value() == !valid);
    for (const std::uint8_t count : in_columns) total -= count;
    TNM_CHECK_EQUAL(total, 0);
}

void check_packed(Array& array, const MaskArray& mask, const Pattern& pattern,
                  const Execution& execution) {
    const auto [data, item, strides] = elements_of(array);
    const std::size_t slots =
        groups_of(array.shape(), pattern.m) * static_cast<std::size_t>(pattern.n);
    std::vector<std::byte> values(slots * item);
    std::vector<std::uint8_t> indices(slots);
    std::optional<std::int64_t> overfull;
    TNM_CHECK(compress({data, item, strides}, mask.const_view(), pattern, values.data(),
                       indices.data(), overfull, execution) == Status::ok);
    std::optional<std::int64_t> expected;
    for (std::size_t g = groups_of(array.shape(), pattern.m); g-- > 0;)
        if (kept_in_group(mask, pattern.m, g) > pattern.n) expected = static_cast<std::int64_t>(g);
    TNM_CHECK(overfull == expected);
    if (overfull) return;
    Array unpacked(array.dtype(), array.shape());
    for (std::int64_t flat = 0; flat < unpacked.size(); ++flat) unpacked.set(flat, 0.0);
    bool valid = false;
    TNM_CHECK(decompress(values.data(), indices.data(), pattern, elements_of(unpacked), valid,
                         execution) == Status::ok);
    TNM_CHECK(valid);
    for (std::int64_t flat = 0; flat < array.size(); ++flat) {
        const double kept = mask.get(flat) ? array.get(flat) : 0.0;
        TNM_CHECK(unpacked.get(flat) == kept || kept != kept);
    }
}

// Bit for bit those of the same elements in C order, on one thread.
void check_retained(const Array& array, const MaskArray& mask, const Execution& execution) {
    Array plain(array.dtype(), array.shape());
    MaskArray flags(array.shape());
    bool finite = true;
    std::int64_t entries = 0;
    for (std::int64_t flat = 0; flat < array.size(); ++flat) {
        plain.set_bits(flat, array.get_bits(flat));
        flags.set(flat, mask.get(flat) != 0);
        finite &= std::isfinite(array.get(flat));
        entries += mask.get(flat);
    }
    for (const Score score : {Score::abs, Score::square, Score::identity}) {
        RetainedScore found, expected;
        const Status status =
            retained_score(array.view(), mask.const_view(), score, found, execution);
        TNM_CHECK(status == (finite ? Status::ok : Status::non_finite_score));
        TNM_CHECK(retained_score(plain.view(), flags.const_view(), score, expected, {}) == status);
        if (!finite) continue;
        TNM_CHECK_EQUAL(found.kept_entries, entries);
        TNM_CHECK(std::bit_cast<std::uint64_t>(found.total) ==
                  std::bit_cast<std::uint64_t>(expected.total));
        TNM_CHECK(std::bit_cast<std::uint64_t>(found.kept) ==
                  std::bit_cast<std::uint64_t>(expected.kept));
        TNM_CHECK(found.largest == expected.largest);
    }
}

// Positions that anybody may have written.
void check_foreign(Reader& reader, Array& array, const Pattern& pattern,
                   const Execution& execution) {
    const std::size_t slots =
        groups_of(array.shape(), pattern.m) * static_cast<std::size_t>(pattern.n);
    std::vector<std::byte> values(slots * item_size(array.dtype()));
    std::vector<std::uint8_t> indices(slots);
    bool all_below = true;
    for (std::uint8_t& index : indices) {
        index = reader.byte();
        all_below &= index < pattern.m;
    }
    bool valid = false;
    TNM_CHECK(decompress(values.data(), indices.data(), pattern, elements_of(array), valid,
                         execution) == Status::ok);
    TNM_CHECK(valid == all_below);
}

void check_one(Reader reader) {
    const Pattern pattern = read_pattern(reader);
    const Execution execution = read_execution(reader);
    const auto memory = kMemories.begin()[reader.byte() % kMemories.size()];
    Array array = read_array(reader, pattern.m, Score::identity);
    MaskArray mask(array.shape(), memory);
    read_mask(reader, mask);
    const Given given(
        [&] { return join(array.description(), ", pattern ", pattern.n, ":", pattern.m); });
    check_counts(mask, pattern, execution);
    check_packed(array, mask, pattern, execution);
    check_retained(array, mask, execution);
    check_foreign(reader, array, pattern, execution);
}

}  // namespace
}  // namespace tnm::test

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    tnm::test::check_one({data, size});
    return 0;
}
