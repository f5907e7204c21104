// Words of mask bits: what is compiled once for each instruction set.
#pragma once

#include <cstddef>
#include <cstdint>

#include "tnm/pattern.hpp"

namespace tnm {

inline constexpr int kWordBits = 64;
// So many elements more than those that count may be read, or written, by what moves elements.
inline constexpr int kElementsBeyond = 16;

// Moving elements of one size, by each of several words in turn. What belongs to a word lies a step
// after what belongs to the one before, on either side; with a step of 0 what is next to each other
// begins where that of the word before ends.
struct ElementKernels {
    // Writes those of 64 elements whose bit is set next to each other. All 64 are read, and
    // kElementsBeyond may be written beyond the last. Returns where that of the last word ends.
    std::byte* (*collect)(const std::byte* source, std::int64_t source_step,
                          const std::uint64_t* words, int count, std::byte* target,
                          std::int64_t target_step);
    // The way back, with zero for elements whose bit is not set. All 64 are written, and
    // kElementsBeyond may be read beyond the last.
    void (*spread)(const std::byte* source, std::int64_t source_step, const std::uint64_t* words,
                   int count, std::byte* target, std::int64_t target_step);
};

// How the n positions of each group of a word, one after another, become bits of the word: those of
// `used` are added to `first`.
struct PositionBits {
    std::uint8_t used[kWordBits + 1];   // all bits; none beyond the last position
    std::uint8_t first[kWordBits + 1];  // bit of its group; beyond, ascending from kWordBits on
};

// Of words that hold as many whole groups of m <= 64 as fit.
struct WordKernels {
    // The lowest bits of 64 neighbouring bytes, for each of the words, `step` bytes apart.
    void (*read_words)(const std::uint8_t* flags, std::int64_t step, int count,
                       std::uint64_t* words);
    // From n positions below m for each group, those of words `step` bytes apart; of each word
    // kWordBits + 1 may be read. Stops before the first word of which they do not ascend in each
    // group, and returns how many are done.
    int (*read_positions)(const std::uint8_t* positions, std::int64_t step,
                          const PositionBits& bits, Pattern pattern, int count,
                          std::uint64_t* words);
    // Swaps rows and columns of 64 x 64 bits.
    void (*transpose)(std::uint64_t* words);
    // How many words there are before the first of which a group has not exactly n bits set.
    int (*count_exact)(const std::uint64_t* words, int count, Pattern pattern);
    // For elements of 1, 2, 4, 8 or 16 bytes.
    const ElementKernels& (*elements_of)(int item_bytes);
};

// Those of the instruction set in use.
const WordKernels& word_kernels();

}  // namespace tnm
