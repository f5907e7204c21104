#include "words/mask_words.hpp"

#include <cstring>

#include "words/word_kernels.hpp"

namespace tnm {
namespace {

std::uint64_t read_line(const std::uint8_t* flags, std::int64_t stride, int count) {
    std::uint64_t word = 0;
    for (int j = 0; j < count; ++j) word |= static_cast<std::uint64_t>(flags[j * stride] != 0) << j;
    return word;
}

// Lines that may be shorter than a word are copied first.
void read_neighbours(const std::uint8_t* flags, std::int64_t line_stride, int lines, int count,
                     std::uint64_t* words) {
    if (count == kWordBits) return word_kernels().read_words(flags, line_stride, lines, words);
    for (int k = 0; k < lines; ++k, flags += line_stride) {
        std::uint8_t line[kWordBits] = {};
        std::memcpy(line, flags, static_cast<std::size_t>(count));
        word_kernels().read_words(line, 0, 1, words + k);
    }
}

}  // namespace

void read_mask_words(const std::uint8_t* flags, std::int64_t row_stride, std::int64_t column_stride,
                     int rows, int columns, std::uint64_t* words) {
    if (row_stride == 1 && column_stride != 1) {
        std::uint64_t turned[64] = {};
        read_neighbours(flags, column_stride, columns, rows, turned);
        transpose_words(turned);
        std::memcpy(words, turned, static_cast<std::size_t>(rows) * sizeof *words);
        return;
    }
    if (column_stride == 1) return read_neighbours(flags, row_stride, rows, columns, words);
    for (int r = 0; r < rows; ++r)
        words[r] = read_line(flags + r * row_stride, column_stride, columns);
}

void transpose_words(std::uint64_t* words) {
    word_kernels().transpose(words);
}

}  // namespace tnm
