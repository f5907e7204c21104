#include "tiles/mask_words.hpp"

#include <cstring>

namespace tnm {
namespace {

// Eight flags next to each other; the product moves each to the highest byte.
std::uint64_t gather_eight(const std::uint8_t* flags) {
    std::uint64_t bytes = 0;
    std::memcpy(&bytes, flags, sizeof bytes);
    return bytes * 0x0102040810204080U >> 56;
}

std::uint64_t read_line(const std::uint8_t* flags, std::int64_t stride, int count) {
    std::uint64_t word = 0;
    int j = 0;
    if (stride == 1)
        for (; j + 8 <= count; j += 8) word |= gather_eight(flags + j) << j;
    for (; j < count; ++j) word |= static_cast<std::uint64_t>(flags[j * stride] != 0) << j;
    return word;
}

}  // namespace

void read_mask_words(const std::uint8_t* flags, std::int64_t row_stride, std::int64_t column_stride,
                     int rows, int columns, std::uint64_t* words) {
    if (row_stride == 1 && column_stride != 1) {
        std::uint64_t turned[64] = {};
        for (int j = 0; j < columns; ++j)
            turned[j] = read_line(flags + j * column_stride, row_stride, rows);
        transpose_words(turned);
        std::memcpy(words, turned, static_cast<std::size_t>(rows) * sizeof *words);
        return;
    }
    for (int r = 0; r < rows; ++r)
        words[r] = read_line(flags + r * row_stride, column_stride, columns);
}

// Quarters of ever smaller squares are exchanged: Warren, Hacker's Delight, section 7-3.
void transpose_words(std::uint64_t* words) {
    std::uint64_t lower = 0x00000000ffffffffU;
    for (int distance = 32; distance != 0; distance >>= 1, lower ^= lower << distance)
        for (int k = 0; k < 64; k = ((k | distance) + 1) & ~distance) {
            const std::uint64_t moved = ((words[k] >> distance) ^ words[k | distance]) & lower;
            words[k | distance] ^= moved;
            words[k] ^= moved << distance;
        }
}

}  // namespace tnm
