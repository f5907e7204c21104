// In which order the words of a block are taken.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstdlib>

#include "groups/group_blocks.hpp"
#include "tnm/array_view.hpp"
#include "words/word_kernels.hpp"

namespace tnm {

// Whether lines lie next to each other: then many are taken at once.
inline bool lies_across(const Strides& strides) {
    return std::llabs(strides.column_stride()) > std::llabs(strides.row_stride());
}

// The words of a line one after another, or those of many lines.
struct WordSequence {
    // `reachable`: so many elements of a line may be touched.
    WordSequence(const GroupBlock& block, int m, int reachable)
        : across(block.lines > 1),
          count(across ? block.lines : block.words),
          groups_of_word(block.groups_of_word),
          columns_of_word(groups_of_word * m),
          group_step(across ? block.groups_per_line : groups_of_word) {
        if (m > kWordBits || reachable < kWordBits) return;
        const int words = std::min((reachable - kWordBits) / columns_of_word + 1,
                                   block.columns / columns_of_word);
        whole = across ? std::min(words, 1) * count : words;
    }

    int groups(const GroupBlock& block, int k) const {
        return across ? block.groups : std::min(groups_of_word, block.groups - k * groups_of_word);
    }
    int columns(const GroupBlock& block, int k) const {
        return across ? block.columns
                      : std::min(columns_of_word, block.columns - k * columns_of_word);
    }
    // From a word to the next.
    std::int64_t step(std::int64_t line_stride, std::int64_t item) const {
        return across ? line_stride : columns_of_word * item;
    }

    bool across;
    int count, groups_of_word, columns_of_word;
    std::int64_t group_step;
    int whole = 0;  // so many, from the first on, hold whole groups and may be touched whole
};

}  // namespace tnm
