// Flags to bits, of any strides and sizes, and bits transposed.
#include "words/mask_words.hpp"

#include <algorithm>
#include <initializer_list>
#include <vector>

#include "support/check.hpp"
#include "support/random.hpp"

namespace tnm::test {
namespace {

constexpr std::uint64_t kUnwritten = 0xeeeeeeeeeeeeeeee;

bool bit(std::uint64_t word, int position) {
    return (word >> position & 1) != 0;
}

// Flags lie in memory of exactly their size; strides may be negative or zero.
struct Layout {
    int row_stride, column_stride;
};

void check_words(int rows, int columns, const Layout& layout, Random& random) {
    const Given given([&] {
        return join(rows, " rows, ", columns, " columns, strides ", layout.row_stride, " and ",
                    layout.column_stride);
    });
    const int last_row = (rows - 1) * layout.row_stride;
    const int last_column = (columns - 1) * layout.column_stride;
    const int first = -std::min(last_row, 0) - std::min(last_column, 0);
    const int last = std::max(last_row, 0) + std::max(last_column, 0);
    std::vector<std::uint8_t> flags(static_cast<std::size_t>(first + last + 1));
    for (std::uint8_t& flag : flags) flag = static_cast<std::uint8_t>(random.between(0, 1));

    std::vector<std::uint64_t> words(static_cast<std::size_t>(rows) + 1, kUnwritten);
    read_mask_words(flags.data() + first, layout.row_stride, layout.column_stride, rows, columns,
                    words.data());
    TNM_CHECK(words.back() == kUnwritten);
    for (int r = 0; r < rows; ++r)
        for (int j = 0; j < 64; ++j) {
            const int place = first + r * layout.row_stride + j * layout.column_stride;
            const bool expected = j < columns && flags[static_cast<std::size_t>(place)] != 0;
            TNM_CHECK(bit(words[static_cast<std::size_t>(r)], j) == expected);
        }
}

void test_every_size_and_stride() {
    Random random(1);
    for (const int rows : {1, 2, 7, 8, 9, 31, 63, 64})
        for (const int columns : {1, 2, 7, 8, 9, 15, 16, 33, 63, 64})
            for (const Layout& layout : std::initializer_list<Layout>{{columns, 1},
                                                                      {columns + 5, 1},
                                                                      {1, rows},
                                                                      {1, rows + 3},
                                                                      {1, 1},
                                                                      {-columns, 1},
                                                                      {2 * columns, 2},
                                                                      {columns, -1},
                                                                      {-1, rows},
                                                                      {1, -rows},
                                                                      {0, 1},
                                                                      {1, 0},
                                                                      {0, 0}})
                check_words(rows, columns, layout, random);
}

void test_transposition() {
    Random random(2);
    std::uint64_t words[64], turned[64];
    for (int k = 0; k < 64; ++k) words[k] = turned[k] = random.bits();
    transpose_words(turned);
    for (int r = 0; r < 64; ++r)
        for (int j = 0; j < 64; ++j) TNM_CHECK(bit(turned[r], j) == bit(words[j], r));
    transpose_words(turned);
    TNM_CHECK(std::equal(words, words + 64, turned));
}

}  // namespace
}  // namespace tnm::test

int main(int argc, char** argv) {
    using namespace tnm::test;
    return run_tests(argc, argv,
                     {
                         {"every_size_and_stride", test_every_size_and_stride},
                         {"transposition", test_transposition},
                     });
}
