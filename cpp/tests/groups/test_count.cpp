// Counting kept entries against counting them one by one.
#include "tnm/count.hpp"

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

Counts counted_by_library(const MaskArray& mask, int m, const Counts& sizes, int threads) {
    // One byte beyond each end would be caught by the address sanitizer.
    Counts counts{std::vector<std::uint8_t>(sizes.row.size(), 0xee),
                  std::vector<std::uint8_t>(sizes.column.size(), 0xee)};
    Execution execution;
    execution.threads = threads;
    const Status status =
        count_kept(mask.const_view(), m, counts.row.data(), counts.column.data(), execution);
    TNM_CHECK(status == Status::ok);
    return counts;
}

void test_against_reference() {
    Random random(1);
    for (int m : {1, 2, 3, 4, 7, 8, 16, 32, 33, 64, 128})
        for (const Memory memory : kMemories)
            for (int density = 0; density <= 4; density += 2) {
                MaskArray mask({2, random.between(1, 2 * m), random.between(1, 2 * m)}, memory);
                for (std::int64_t flat = 0; flat < mask.size(); ++flat)
                    mask.set(flat, random.between(1, 4) <= density);
                const Given given([&] {
                    return join(name_of(memory), " mask of shape ", name_of(mask.shape()),
                                ", m = ", m, ", density ", density, "/4");
                });
                const Counts expected = counted_one_by_one(mask, m);
                TNM_CHECK(counted_by_library(mask, m, expected, 1) == expected);
            }
}

void test_threads_agree() {
    Random random(2);
    MaskArray mask({3, 130, 517});
    for (std::int64_t flat = 0; flat < mask.size(); ++flat) mask.set(flat, random.between(0, 1));
    const Counts expected = counted_one_by_one(mask, 4);
    for (const int threads : {1, 2, 7})
        TNM_CHECK(counted_by_library(mask, 4, expected, threads) == expected);
}

void test_bad_arguments() {
    MaskArray mask({4, 4});
    std::uint8_t counts[16];
    for (const int m : {-1, 0, kMaxM + 1})
        TNM_CHECK(count_kept(mask.const_view(), m, counts, counts, {}) == Status::invalid_argument);
    ConstMaskView line = mask.const_view();
    line.strides.rank = 1;
    TNM_CHECK(count_kept(line, 4, counts, counts, {}) == Status::invalid_argument);
}

void test_empty() {
    for (const Shape& shape : {Shape{0, 4}, Shape{4, 0}, Shape{0, 4, 4}}) {
        const MaskArray mask(shape);
        TNM_CHECK(count_kept(mask.const_view(), 4, nullptr, nullptr, {}) == Status::ok);
    }
}

}  // namespace
}  // namespace tnm::test

int main(int argc, char** argv) {
    using namespace tnm::test;
    return run_tests(argc, argv,
                     {
                         {"against_reference", test_against_reference},
                         {"threads_agree", test_threads_agree},
                         {"bad_arguments", test_bad_arguments},
                         {"empty", test_empty},
                     });
}
