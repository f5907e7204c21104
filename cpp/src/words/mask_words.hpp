// Masks of a byte an entry as words of a bit an entry.
#pragma once

#include <cstdint>

namespace tnm {

// Bit j of words[r] is flag (r, j) of up to 64 rows and columns, which is 0 or 1. Strides are in
// bytes. Rows and columns beyond the given ones are zero.
void read_mask_words(const std::uint8_t* flags, std::int64_t row_stride, std::int64_t column_stride,
                     int rows, int columns, std::uint64_t* words);

// Swaps rows and columns of 64 x 64 bits.
void transpose_words(std::uint64_t* words);

}  // namespace tnm
