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
          copy_(elements.item_size) {}

    void take(const GroupBlock& block) {
        if (overfull_.precedes(block.first_group)) return;
        const Lines lines = lines_of(block);
        WordSequence sequence(block, pattern_.m, lines.readable);
        leave_room(block, sequence);
        const int words = read_words(block, sequence);
        const std::int64_t step = sequence.step(lines.stride, item_);
        for (int k = 0; k < sequence.count;) {
            const int whole = std::max(0, sequence.whole - k);
            const int exact = kernels_.count_exact(words_ + k * words, whole, pattern_);
            const std::int64_t group = block.first_group + k * sequence.group_step;
            const std::byte* elements = lines.first + k * step;
            if (exact > 0)
                take_exact(words_ + k, exact, elements, step, group, sequence.group_step);
            else
                take_word(words_ + k * words, sequence.groups(block, k), elements,
                          sequence.columns(block, k), group);
            k += std::max(exact, 1);
        }
    }

  private:
    struct Lines {
        const std::byte* first;
        std::int64_t stride;
        int readable;  // elements of each
    };

    Lines lines_of(const GroupBlock& block) {
        const Strides& strides = elements_.strides;
        const std::byte* first = elements_.data + block.offset(strides);
        if (strides.column_stride() == item_) return {first, strides.row_stride(), block.columns};
        const LineBlock lines{const_cast<std::byte*>(first), strides.row_stride(),
                              strides.column_stride(), block.lines, block.columns};
        copy_.resize(lines, kWordBits);
        copy_.read(lines);
        return {copy_.data(), copy_.line_stride(), block.columns + kWordBits};
    }

    // What is written beyond a word is to be written again later, by the same thread.
    void leave_room(const GroupBlock& block, WordSequence& sequence) const {
        const auto groups_after = [&](int words) {
            return block.later_groups +
                   (sequence.across ? 0 : block.groups - words * sequence.groups_of_word);
        };
        while (sequence.whole > 0 && groups_after(sequence.whole) * pattern_.n < kElementsBeyond)
            sequence.whole = sequence.across ? 0 : sequence.whole - 1;
    }

    // Returns how many words there are for each of the sequence: two where m > 64.
    int read_words(const GroupBlock& block, const WordSequence& sequence) {
        const Strides& strides = mask_.strides;
        const std::int64_t stride = strides.column_stride();
        const std::uint8_t* flags = mask_.data + block.offset(strides);
        const bool is_wide = pattern_.m > kWordBits;
        const int step = is_wide ? kWordBits : sequence.columns_of_word;
        const int words = is_wide ? 2 : block.words;
        int w = 0;
        if (!sequence.across && stride == 1 && !is_wide) {
            w = std::max(0, block.columns - kWordBits + step) / step;
            kernels_.read_words(flags, step, w, words_);
            const std::uint64_t groups = ~std::uint64_t{0} >> (kWordBits - step);
            for (int k = 0; k < w; ++k) words_[k] &= groups;
        }
        for (; w < words; ++w) {
            std::uint64_t column[64] = {};
            if (w * step < block.columns)
                read_mask_words(flags + w * step * stride, strides.row_stride(), stride,
                                block.lines, std::min(step, block.columns - w * step), column);
            for (int line = 0; line < block.lines; ++line) words_[line * words + w] = column[line];
        }
        return is_wide ? 2 : 1;
    }

    void take_exact(const std::uint64_t* words, int count, const std::byte* elements,
                    std::int64_t step, std::int64_t group, std::int64_t group_step) const {
        const Compressed to = target(group);
        const std::int64_t target_step = group_step * pattern_.n;
        collect_(elements, step, words, count, to.values, target_step * item_);
        collect_bytes_(positions_.of_word(0), 0, words, count,
                       reinterpret_cast<std::byte*>(to.indices), target_step);
    }

    // A word, or two that hold a group of more than 64: filled up, and written to the byte.
    void take_word(const std::uint64_t* kept, int groups, const std::byte* elements, int columns,
                   std::int64_t group) {
        const int words = pattern_.m > kWordBits ? 2 : 1;
        FilledWords chosen{kept[0], words == 2 && columns > kWordBits ? kept[1] : 0};
        for (int g = 0; g < groups; ++g)
            if (!chosen.fill(g * pattern_.m, pattern_)) return overfull_.report(group + g);
        std::byte from[2 * kWordBits * 16], values[(2 * kWordBits + kElementsBeyond) * 16];
        std::byte indices[2 * kWordBits + kElementsBeyond];
        std::memcpy(from, elements, static_cast<std::size_t>(columns * item_));
        chosen.for_each_added([&](int position) {
            std::memset(from + position * item_, 0, static_cast<std::size_t>(item_));
        });
        std::byte *end = values, *end_of_indices = indices;
        for (int w = 0; w < words; ++w) {
            const std::uint64_t word = chosen.word(w);
            end = collect_(from + w * kWordBits * item_, 0, &word, 1, end, 0);
            end_of_indices = collect_bytes_(positions_.of_word(w), 0, &word, 1, end_of_indices, 0);
        }
        const Compressed to = target(group);
        std::memcpy(to.values, values, static_cast<std::size_t>(end - values));
        std::memcpy(to.indices, indices, static_cast<std::size_t>(end_of_indices - indices));
    }

    Compressed target(std::int64_t group) const {
        const std::int64_t first = group * pattern_.n;
        return {to_.values + first * item_, to_.indices + first};
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
    std::uint64_t words_[2 * 64];
};

}  // namespace

Status compress(const ElementsView& elements, const ConstMaskView& mask, const Pattern& pattern,
                std::byte* values, std::uint8_t* indices, std::optional<std::int64_t>& overfull,
                const Execution& execution) {
    overfull.reset();
    if (!pattern.valid()) return Status::invalid_argument;
    FirstFound found;
    const bool across = lies_across(elements.strides) || lies_across(mask.strides);
    const Status status = GroupBlocks(elements.strides, pattern.m, across).for_each(execution, [&] {
        return [work = Compression(elements, mask, pattern, {values, indices}, found)](
                   const GroupBlock& block) mutable { work.take(block); };
    });
    overfull = found.get();
    return status;
}

}  // namespace tnm
