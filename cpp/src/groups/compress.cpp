// A word of the mask says which of 64 elements move next to each other. Where all groups of a word
// keep exactly n, elements and positions move by that word; others are filled up first.
#include <cstring>

#include "groups/element_lines.hpp"
#include "groups/group_blocks.hpp"
#include "groups/positions.hpp"
#include "groups/word_sequence.hpp"
#include "tnm/compress.hpp"
#include "words/mask_words.hpp"
#include "words/word_kernels.hpp"

namespace tnm {
namespace {

struct Compressed {
    std::byte* values;
    std::uint8_t* indices;
};

class Compression {
  public:
    Compression(const ElementsView& elements, const ConstMaskView& mask, const Pattern& pattern,
                const Compressed& to, FirstFound& overfull)
        : elements_(elements),
          mask_(mask),
          pattern_(pattern),
          to_(to),
          overfull_(overfull),
          item_(static_cast<int>(elements.item_size)),
          kernels_(word_kernels()),
          collect_(kernels_.elements_of(item_).collect),
          collect_bytes_(kernels_.elements_of(1).collect),
          positions_(pattern.m),
          copy_(elements.item_size),
          values_(kRoom * elements.item_size) {}

    void take(const GroupBlock& block, const GroupBlock& next) {
        if (overfull_.precedes(block.first_group)) return;
        const Lines elements = copy_.to_read(line_block(block, elements_.strides, elements_.data),
                                             line_block(next, elements_.strides, elements_.data));
        const int words = read_words(block);
        Prefetcher targets = prefetcher_of(block, pattern_.n, to_.values, to_.indices, item_);
        for (int k = 0; k < block.lines; ++k) {
            targets.prefetch(1);
            take_line(block.only_line(k), words_ + k * words, elements[k], elements.readable);
        }
    }

  private:
    // `kept`: the words of a line, of whose elements so many may be read.
    void take_line(const GroupBlock& block, const std::uint64_t* kept, const std::byte* elements,
                   int readable) {
        const WordSequence sequence(block, pattern_.m, readable);
        for (int k = 0; k < sequence.count;) {
            const int whole = std::max(0, sequence.whole - k);
            const int exact = kernels_.count_exact(kept + k, whole, pattern_);
            const std::byte* from = elements + k * sequence.columns_of_word * item_;
            if (exact > 0)
                collect_exact(kept + k, exact, sequence, from, room_for(sequence, k));
            else
                collect_filled(kept + k, sequence.groups(block, k), from,
                               sequence.columns(block, k), room_for(sequence, k),
                               block.first_group + k * sequence.groups_of_word);
            k += std::max(exact, 1);
        }
        const std::int64_t first = block.first_group * pattern_.n;
        const auto count = static_cast<std::size_t>(block.groups * pattern_.n);
        std::memcpy(to_.values + first * item_, values_.data(), count * elements_.item_size);
        std::memcpy(to_.indices + first, indices_, count);
    }

    // Where a word's values and indices go, before those of the line go to where they belong: more
    // may be written here than count.
    Compressed room_for(const WordSequence& sequence, int word) {
        const int first = word * sequence.groups_of_word * pattern_.n;
        return {values_.data() + first * item_, indices_ + first};
    }

    // Returns how many words each line has: two where m > 64.
    int read_words(const GroupBlock& block) {
        const Strides& strides = mask_.strides;
        const std::int64_t stride = strides.column_stride();
        const std::uint8_t* flags = mask_.data + block.offset(strides);
        const bool is_wide = pattern_.m > kWordBits;
        const int step = is_wide ? kWordBits : block.groups_of_word * pattern_.m;
        const int words = is_wide ? 2 : block.words;
        int w = 0;
        if (block.lines == 1 && stride == 1 && !is_wide) {
            w = std::max(0, block.columns - kWordBits + step) / step;
            kernels_.read_words(flags, step, w, words_);
            const std::uint64_t groups = ~std::uint64_t{0} >> (kWordBits - step);
            for (int k = 0; k < w; ++k) words_[k] &= groups;
        }
        for (; w < words; ++w) {
            std::uint64_t column[GroupBlocks::kMostLines] = {};
            if (w * step < block.columns)
                read_mask_words(flags + w * step * stride, strides.row_stride(), stride,
                                block.lines, std::min(step, block.columns - w * step), column);
            for (int line = 0; line < block.lines; ++line) words_[line * words + w] = column[line];
        }
        return words;
    }

    void collect_exact(const std::uint64_t* words, int count, const WordSequence& sequence,
                       const std::byte* elements, const Compressed& to) const {
        const std::int64_t step = sequence.groups_of_word * pattern_.n;
        collect_(elements, sequence.columns_of_word * item_, words, count, to.values, step * item_);
        collect_bytes_(positions_.of_word(0), 0, words, count,
                       reinterpret_cast<std::byte*>(to.indices), step);
    }

    // A word, or two that hold a group of more than 64, filled up.
    void collect_filled(const std::uint64_t* kept, int groups, const std::byte* elements,
                        int columns, Compressed to, std::int64_t group) {
        const int words = pattern_.m > kWordBits ? 2 : 1;
        FilledWords chosen{kept[0], words == 2 && columns > kWordBits ? kept[1] : 0};
        for (int g = 0; g < groups; ++g)
            if (!chosen.fill(g * pattern_.m, pattern_)) return overfull_.report(group + g);
        std::byte from[2 * kWordBits * 16];
        std::memcpy(from, elements, static_cast<std::size_t>(columns * item_));
        chosen.for_each_added([&](int position) {
            std::memset(from + position * item_, 0, static_cast<std::size_t>(item_));
        });
        auto* indices = reinterpret_cast<std::byte*>(to.indices);
        for (int w = 0; w < words; ++w) {
            const std::uint64_t word = chosen.word(w);
            to.values = collect_(from + w * kWordBits * item_, 0, &word, 1, to.values, 0);
            indices = collect_bytes_(positions_.of_word(w), 0, &word, 1, indices, 0);
        }
    }

    const ElementsView& elements_;
    const ConstMaskView& mask_;
    const Pattern pattern_;
    const Compressed to_;
    FirstFound& overfull_;
    const int item_;
    const WordKernels& kernels_;
    const decltype(ElementKernels::collect) collect_, collect_bytes_;
    const WordPositions positions_;
    LineCopy copy_;
    std::uint64_t words_[GroupBlocks::kMostWordsOfBlock];
    // Of a line in a block.
    static constexpr int kRoom = GroupBlocks::kMostWords * kWordBits + kElementsBeyond;
    std::vector<std::byte> values_;
    std::uint8_t indices_[kRoom];
};

}  // namespace

Status compress(const ElementsView& elements, const ConstMaskView& mask, const Pattern& pattern,
                std::byte* values, std::uint8_t* indices, std::optional<std::int64_t>& overfull,
                const Execution& execution) {
    overfull.reset();
    if (!pattern.valid()) return Status::invalid_argument;
    FirstFound found;
    const bool across = lies_across(elements.strides) || lies_across(mask.strides);
    const auto item = static_cast<std::int64_t>(elements.item_size);
    const GroupBlocks blocks(elements.strides, pattern.m, across,
                             lines_of_first_block(elements.strides, item, elements.data));
    const Status status = blocks.for_each(execution, [&] {
        return [work = Compression(elements, mask, pattern, {values, indices}, found)](
                   const GroupBlock& block, const GroupBlock& next) mutable {
            work.take(block, next);
        };
    });
    overfull = found.get();
    return status;
}

}  // namespace tnm
