// The words of lines.
#pragma once

#include <algorithm>
#include <cstdint>

#include "groups/group_blocks.hpp"
#include "tiles/memory_order.hpp"
#include "tnm/array_view.hpp"
#include "words/word_kernels.hpp"

namespace tnm {

// The words of a line, one after another.
struct WordSequence {
    // `reachable`: so many elements of a line may be touched.
    WordSequence(const GroupBlock& block, int m, int reachable)
        : count(block.words),
          groups_of_word(block.groups_of_word),
          columns_of_word(groups_of_word * m) {
        if (m > kWordBits || reachable < kWordBits) return;
        whole = std::min((reachable - kWordBits) / columns_of_word + 1,
                         block.columns / columns_of_word);
    }

    int groups(const GroupBlock& block, int k) const {
        return std::min(groups_of_word, block.groups - k * groups_of_word);
    }
    int columns(const GroupBlock& block, int k) const {
        return std::min(columns_of_word, block.columns - k * columns_of_word);
    }

    int count, groups_of_word, columns_of_word;
    int whole = 0;  // so many, from the first on, hold whole groups and may be touched whole
};

}  // namespace tnm
