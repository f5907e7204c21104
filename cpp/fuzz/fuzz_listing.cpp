// Any bytes are a pattern, numbers of masks and seeds: listing, numbering, tables and the chain
// agree with one another.
#include <memory>
#include <vector>

#include "reader.hpp"
#include "tnm/counting/curveball.hpp"
#include "tnm/counting/enumerate.hpp"
#include "tnm/counting/mask_table.hpp"

namespace tnm::test {
namespace {

using Bytes = std::vector<std::uint8_t>;

void check_mask(const std::uint8_t* mask, const Pattern& pattern) {
    const int m = pattern.m;
    for (int i = 0; i < m; ++i) {
        int in_row = 0, in_column = 0;
        for (int j = 0; j < m; ++j) {
            in_row += mask[i * m + j];
            in_column += mask[j * m + i];
        }
        TNM_CHECK_EQUAL(in_row, pattern.n);
        TNM_CHECK_EQUAL(in_column, pattern.n);
    }
}

std::uint64_t code_of(const std::uint8_t* mask, int m) {
    std::uint64_t code = 0;
    for (int k = 0; k < m * m; ++k) code = code << 1 | mask[k];
    return code;
}

// A number below the total: the draw's remainder where one word holds it, else all words but the
// highest.
std::vector<std::uint64_t> read_index(Reader& reader, const BigCount& total) {
    std::vector<std::uint64_t> index(total.size());
    for (std::uint64_t& word : index) word = reader.bits();
    index.back() = total.size() == 1 ? index.back() % total.back() : 0;
    return index;
}

void check_enumeration(const std::uint8_t* mask, const Pattern& pattern) {
    std::unique_ptr<MaskEnumerator> enumerator;
    const Status created = MaskEnumerator::create(pattern, enumerator);
    TNM_CHECK(created == (pattern.m <= kMaxEnumeratedM ? Status::ok : Status::invalid_argument));
    if (created != Status::ok) return;
    std::uint64_t codes[5] = {};
    TNM_CHECK(enumerator->seek(code_of(mask, pattern.m)) == Status::ok);
    const std::int64_t found = enumerator->next(codes, 5);
    TNM_CHECK(found >= 1 && codes[0] == code_of(mask, pattern.m));
    for (std::int64_t k = 1; k < found; ++k) TNM_CHECK(codes[k - 1] < codes[k]);
}

// Codes that anybody may ask for.
void check_foreign_code(std::uint64_t code, const Pattern& pattern) {
    std::unique_ptr<MaskEnumerator> enumerator;
    if (MaskEnumerator::create(pattern, enumerator) != Status::ok) return;
    std::uint64_t next = 0;
    if (enumerator->seek(code) == Status::ok)
        TNM_CHECK(enumerator->next(&next, 1) == 1 && next == code);
}

void check_table(Reader& reader, const Pattern& pattern, const Execution& execution) {
    TableMemory memory{1U << 20, 0};
    std::unique_ptr<MaskTable> table;
    const Status created = MaskTable::create(pattern, memory, table, execution);
    if (created == Status::table_too_large) return;
    TNM_CHECK(created == Status::ok);
    const std::vector<std::uint64_t> index = read_index(reader, table->total());
    std::vector<std::uint64_t> again(index.size());
    Bytes mask(static_cast<std::size_t>(pattern.m * pattern.m));
    TNM_CHECK(table->sample(index.data(), 1, mask.data(), execution) == Status::ok);
    check_mask(mask.data(), pattern);
    TNM_CHECK(table->unrank(index.data(), 1, mask.data(), execution) == Status::ok);
    check_mask(mask.data(), pattern);
    TNM_CHECK(table->rank(mask.data(), 1, again.data(), execution) == Status::ok);
    TNM_CHECK(index == again);
    check_enumeration(mask.data(), pattern);
}

void check_chain(Reader& reader, const Pattern& pattern, const Execution& execution) {
    constexpr int kMasks = 2;
    std::vector<std::uint64_t> seeds(kMasks * kCurveballSeedWords);
    for (std::uint64_t& seed : seeds) seed = reader.bits();
    Bytes masks(static_cast<std::size_t>(kMasks * pattern.m * pattern.m));
    TNM_CHECK(curveball_masks(pattern, reader.byte(), seeds.data(), kMasks, masks.data(),
                              execution) == Status::ok);
    for (int k = 0; k < kMasks; ++k) check_mask(masks.data() + k * pattern.m * pattern.m, pattern);
}

void check_one(Reader reader) {
    const Pattern pattern = read_pattern(reader);
    const Execution execution = read_execution(reader);
    const Given given([&] { return join("pattern ", pattern.n, ":", pattern.m); });
    check_table(reader, pattern, execution);
    check_foreign_code(reader.bits(), pattern);
    check_chain(reader, pattern, execution);
}

}  // namespace
}  // namespace tnm::test

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    tnm::test::check_one({data, size});
    return 0;
}
