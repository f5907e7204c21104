// In which order the words of a block are taken, and what is fetched into caches meanwhile.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>

#include "groups/group_blocks.hpp"
#include "tiles/word_kernels.hpp"
#include "tnm/array_view.hpp"

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

// Lines of a block may lie far apart in memory, so that only we can tell what comes next: the block
// that follows along the lines.
class Prefetching {
  public:
    // So many words are dealt with between fetching.
    static constexpr int kWordsAtOnce = 8;

    explicit Prefetching(const GroupBlock& block)
        : block_(block), is_used_(block.lines > 1 && block.later_groups > 0) {}

    int words_at_once(int count) const { return is_used_ ? std::min(count, kWordsAtOnce) : count; }

    // Where lines lie next to each other in memory: rows across all lines.
    template <bool kToWrite>
    void fetch_rows(int first, const std::byte* data, const Strides& strides, int item) const {
        if (!is_used_ || strides.row_stride() != item) return;
        const std::byte* next =
            data + block_.offset(strides) + block_.columns * strides.column_stride();
        for (int row = first; row < std::min(first + kWordsAtOnce, block_.columns); ++row)
            fetch<kToWrite>(next + row * strides.column_stride(), block_.lines * item);
    }
    // What is compressed: `bytes` for each group.
    template <bool kToWrite>
    void fetch_groups(int first, const std::byte* data, int bytes) const {
        for (int line = first; is_used_ && line < std::min(first + kWordsAtOnce, block_.lines);
             ++line) {
            const std::int64_t group = block_.first_group + line * block_.groups_per_line;
            fetch<kToWrite>(data + (group + block_.groups) * bytes, block_.groups * bytes);
        }
    }

  private:
    template <bool kToWrite>
    static void fetch(const std::byte* data, int bytes) {
        constexpr int kCacheLine = 64;
        for (int k = 0; k < bytes; k += kCacheLine) __builtin_prefetch(data + k, kToWrite);
    }

    const GroupBlock& block_;
    const bool is_used_;
};

}  // namespace tnm
