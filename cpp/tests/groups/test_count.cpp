// Counting kept entries against counting them one by one.
#include "tnm/count.hpp"

#include <algorithm>
#include <optional>
#include <utility>

#include "support/array.hpp"
#include "support/check.hpp"
#include "support/random.hpp"
#include "tnm/pattern.hpp"

namespace tnm::test {
namespace {

struct Counts {
    std::vector<std::uint8_t> row, column;
    bool operator==(const Counts&) const = default;
};

Counts counted_one_by_one(const MaskArray& mask, int m) {
    const std::int64_t columns = mask.shape().back(), rows = mask.shape().end()[-2];
    const std::int64_t wide = (columns + m - 1) / m, high = (rows + m - 1) / m;
    const std::int64_t planes = mask.size() / (rows * columns);
    Counts counts{std::vector<std::uint8_t>(static_cast<std::size_t>(planes * rows * wide)),
                  std::vector<std::uint8_t>(static_cast<std::size_t>(planes * high * columns))};
    for (std::int64_t flat = 0; flat < mask.size(); ++flat) {
        if (!mask.get(flat)) continue;
        const std::int64_t row = flat / columns, j = flat % columns;
        const std::int64_t plane = row / rows, i = row % rows;
        ++counts.row[static_cast<std::size_t>(row * wide + j / m)];
        ++counts.column[static_cast<std::size_t>((plane * high + i / m) * columns + j)];
    }
    return counts;
}

// C-contiguous.
CountsView counts_view(std::uint8_t* data, const std::vector<std::int64_t>& shape) {
    CountsView view{data, {}};
    view.strides.rank = static_cast<int>(shape.size());
    std::int64_t bytes = 1;
    for (std::size_t axis = shape.size(); axis-- > 0; bytes *= shape[axis]) {
        view.strides.shape[axis] = shape[axis];
        view.strides.bytes[axis] = bytes;
    }
    return view;
}

// The same memory with the last two axes exchanged.
void turn(Strides& strides) {
    std::swap(strides.shape[strides.rank - 1], strides.shape[strides.rank - 2]);
    std::swap(strides.bytes[strides.rank - 1], strides.bytes[strides.rank - 2]);
}

struct Counted {
    Counts counts;
    CountedMask mask;
};

Counted counted_by_library(const MaskArray& mask, const GroupRule& rule, const Counts& sizes,
                           int threads = 1) {
    // One byte beyond each end would be caught by the address sanitizer.
    Counted found{{std::vector<std::uint8_t>(sizes.row.size(), 0xee),
                   std::vector<std::uint8_t>(sizes.column.size(), 0xee)},
                  {}};
    Shape rows = mask.shape(), columns = mask.shape();
    rows.back() = (rows.back() + rule.pattern.m - 1) / rule.pattern.m;
    columns.end()[-2] = (columns.end()[-2] + rule.pattern.m - 1) / rule.pattern.m;
    Execution execution;
    execution.threads = threads;
    const Status status =
        count_kept(mask.const_view(), rule, counts_view(found.counts.row.data(), rows),
                   counts_view(found.counts.column.data(), columns), found.mask, execution);
    TNM_CHECK(status == Status::ok);
    return found;
}

// The first tile with a group that breaks the rule, one tile after another.
std::optional<std::int64_t> first_bad_tile(const MaskArray& mask, const GroupRule& rule,
                                           const Counts& counts) {
    const auto [n, m] = rule.pattern;
    const std::int64_t columns = mask.shape().back(), rows = mask.shape().end()[-2];
    const std::int64_t wide = (columns + m - 1) / m, high = (rows + m - 1) / m;
    const std::int64_t planes = mask.size() / (rows * columns);
    for (std::int64_t tile = 0; tile < planes * high * wide; ++tile) {
        const std::int64_t across = tile % wide, down = tile / wide % high,
                           plane = tile / wide / high;
        const std::int64_t height = std::min<std::int64_t>(m, rows - down * m);
        const std::int64_t width = std::min<std::int64_t>(m, columns - across * m);
        const bool exactly = rule.exact && width == m && (height == m || !rule.transposable);
        const auto is_bad = [&](int count) { return count > n || (exactly && count != n); };
        bool bad = false;
        for (std::int64_t i = 0; i < height; ++i)
            bad |= is_bad(
                counts
                    .row[static_cast<std::size_t>((plane * rows + down * m + i) * wide + across)]);
        for (std::int64_t j = 0; j < width && rule.transposable; ++j)
            bad |= is_bad(counts.column[static_cast<std::size_t>((plane * high + down) * columns +
                                                                 across * m + j)]);
        if (bad) return tile;
    }
    return std::nullopt;
}

void check_mask(const MaskArray& mask, const GroupRule& rule, int threads = 1) {
    const Counts expected = counted_one_by_one(mask, rule.pattern.m);
    const Counted found = counted_by_library(mask, rule, expected, threads);
    TNM_CHECK(found.counts == expected);
    std::int64_t kept = 0;
    for (std::int64_t flat = 0; flat < mask.size(); ++flat) kept += mask.get(flat);
    TNM_CHECK_EQUAL(found.mask.kept, kept);
    TNM_CHECK(found.mask.first_bad_tile == first_bad_tile(mask, rule, expected));
}

void test_against_reference() {
    Random random(1);
    for (int m : {1, 2, 3, 4, 7, 8, 16, 32, 33, 64, 128})
        for (const Memory memory : kMemories)
            for (int density = 0; density <= 4; density += 2) {
                MaskArray mask({2, random.between(1, 3 * m), random.between(1, 3 * m)}, memory);
                for (std::int64_t flat = 0; flat < mask.size(); ++flat)
                    mask.set(flat, random.between(1, 4) <= density);
                const GroupRule rule{{random.between(1, m), m},
                                     random.between(0, 1) != 0,
                                     random.between(0, 1) != 0};
                const Given given([&] {
                    return join(name_of(memory), " mask of shape ", name_of(mask.shape()), ", ",
                                rule.pattern.n, ":", m, ", density ", density, "/4");
                });
                check_mask(mask, rule);
            }
}

// Masks that obey but for one entry, narrow and wide, in one plane or many.
void test_first_bad_tile() {
    Random random(3);
    for (const Shape& shape : {Shape{1, 8, 5000}, Shape{40, 4, 4}, Shape{7, 12, 8},
                               Shape{3, 2000, 4}, Shape{5, 9, 6}, Shape{2, 64, 64}})
        for (const Memory memory : kMemories)
            for (int repeat = 0; repeat < 6; ++repeat) {
                MaskArray mask(shape, memory);
                const std::int64_t columns = shape[2], rows = shape[1];
                for (std::int64_t flat = 0; flat < mask.size(); ++flat) {
                    const std::int64_t i = flat / columns % rows, j = flat % columns;
                    mask.set(flat, i / 4 < rows / 4 && j / 4 < columns / 4 && (i + j) % 4 < 2);
                }
                const GroupRule rule{{2, 4}, true, repeat % 2 == 0};
                const Given given([&] {
                    return join(name_of(memory), " mask of shape ", name_of(shape), ", repeat ",
                                repeat);
                });
                if (rule.transposable) check_mask(mask, rule);
                const auto flat = static_cast<std::int64_t>(random.bits() >> 1) % mask.size();
                mask.set(flat, mask.get(flat) == 0);
                check_mask(mask, rule, 1 + repeat / 2);
            }
}

// Counts go where their strides say.
void test_counts_of_any_strides() {
    MaskArray mask({3, 8, 12});
    for (std::int64_t flat = 0; flat < mask.size(); ++flat) mask.set(flat, flat % 5 < 2);
    const Counts expected = counted_one_by_one(mask, 4);
    std::vector<std::uint8_t> rows(expected.row.size()), columns(expected.column.size());
    CountsView row_view = counts_view(rows.data(), {3, 3, 8});
    CountsView column_view = counts_view(columns.data(), {3, 12, 2});
    turn(row_view.strides);
    turn(column_view.strides);
    CountedMask counted;
    TNM_CHECK(count_kept(mask.const_view(), {{2, 4}}, row_view, column_view, counted, {}) ==
              Status::ok);
    for (std::size_t plane = 0; plane < 3; ++plane) {
        for (std::size_t i = 0; i < 8; ++i)
            for (std::size_t g = 0; g < 3; ++g)
                TNM_CHECK(rows[(plane * 3 + g) * 8 + i] == expected.row[(plane * 8 + i) * 3 + g]);
        for (std::size_t g = 0; g < 2; ++g)
            for (std::size_t j = 0; j < 12; ++j)
                TNM_CHECK(columns[(plane * 12 + j) * 2 + g] ==
                          expected.column[(plane * 2 + g) * 12 + j]);
    }
}

// The stride of an axis of one means nothing, though it be that of the rows of a whole array.
void test_axes_of_one() {
    const Shape shape{2, 1, 4, 8};
    MaskArray whole({2, 1, 8, 8}), part(shape);
    for (std::int64_t flat = 0; flat < whole.size(); ++flat) whole.set(flat, flat % 64 >= 32);
    for (std::int64_t flat = 0; flat < part.size(); ++flat) part.set(flat, false);
    const Counts expected = counted_one_by_one(part, 4);
    ConstMaskView mask = whole.const_view();
    mask.strides.shape[2] = 4;
    for (const std::int64_t stride : {32, 64, -24}) {
        mask.strides.bytes[1] = stride;
        Counts counts{std::vector<std::uint8_t>(expected.row.size(), 0xee),
                      std::vector<std::uint8_t>(expected.column.size(), 0xee)};
        CountedMask counted;
        TNM_CHECK(count_kept(mask, {{2, 4}, false}, counts_view(counts.row.data(), {2, 1, 4, 2}),
                             counts_view(counts.column.data(), {2, 1, 1, 8}), counted,
                             {}) == Status::ok);
        TNM_CHECK(counts == expected && counted.kept == 0);
    }
}

void test_threads_agree() {
    Random random(2);
    MaskArray mask({3, 130, 517});
    for (std::int64_t flat = 0; flat < mask.size(); ++flat) mask.set(flat, random.between(0, 1));
    for (const int threads : {1, 2, 7}) check_mask(mask, {{2, 4}}, threads);
}

void test_bad_arguments() {
    MaskArray mask({4, 4});
    std::uint8_t counts[16];
    const CountsView view = counts_view(counts, {4, 4});
    CountedMask counted;
    for (const int m : {-1, 0, kMaxM + 1})
        TNM_CHECK(count_kept(mask.const_view(), {{1, m}}, view, view, counted, {}) ==
                  Status::invalid_argument);
    ConstMaskView line = mask.const_view();
    line.strides.rank = 1;
    TNM_CHECK(count_kept(line, {{1, 4}}, view, view, counted, {}) == Status::invalid_argument);
}

void test_empty() {
    for (const Shape& shape : {Shape{0, 4}, Shape{4, 0}, Shape{0, 4, 4}}) {
        const MaskArray mask(shape);
        const Counted found = counted_by_library(mask, {{2, 4}}, {});
        TNM_CHECK_EQUAL(found.mask.kept, 0);
        TNM_CHECK(!found.mask.first_bad_tile);
    }
}

}  // namespace
}  // namespace tnm::test

int main(int argc, char** argv) {
    using namespace tnm::test;
    return run_tests(argc, argv,
                     {
                         {"against_reference", test_against_reference},
                         {"first_bad_tile", test_first_bad_tile},
                         {"counts_of_any_strides", test_counts_of_any_strides},
                         {"axes_of_one", test_axes_of_one},
                         {"threads_agree", test_threads_agree},
                         {"bad_arguments", test_bad_arguments},
                         {"empty", test_empty},
                     });
}
