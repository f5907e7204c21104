// A word of the mask says which of 64 elements move next to each other. Where all groups of a word
// keep exactly n, elements and positions move by that word; others are filled up first.
#include "tnm/compress.hpp"

#include <atomic>
#include <cstdlib>
#include <cstring>

#include "groups/element_lines.hpp"
#include "groups/group_blocks.hpp"
#include "groups/positions.hpp"
#include "tiles/item_bytes.hpp"
#include "tiles/mask_words.hpp"
#include "tiles/word_kernels.hpp"

namespace tnm {
namespace {

// Whether lines lie next to each other: then many are taken at once.
bool lies_across(const Strides& strides) {
    return std::llabs(strides.column_stride()) > std::llabs(strides.row_stride());
}

// How many words of a line hold whole groups and lie in its first `reachable` elements.
int whole_words(const GroupBlock& block, int reachable, const Pattern& pattern) {
    if (pattern.m > kWordBits || reachable < kWordBits) return 0;
    const int step = block.groups_of_word * pattern.m;
    return std::min((reachable - kWordBits) / step + 1, block.columns / step);
}

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
          move_(word_kernels().elements_of(item_)),
          positions_(pattern.m),
          copy_(elements.item_size) {}

    void take(const GroupBlock& block) {
        if (overfull_.precedes(block.first_group)) return;
        const Lines lines = lines_of(block);
        read_words(block);
        for (int line = 0; line < block.lines; ++line)
            take_line(block, block.first_group + line * block.groups_per_line,
                      lines.first + line * lines.stride, lines.readable,
                      words_ + line * words_of(block));
    }

  private:
    struct Lines {
        const std::byte* first;
        std::int64_t stride;
        int readable;  // elements of each
    };

    static int words_of(const GroupBlock& block) {
        return block.columns > kWordBits && block.groups == 1 ? 2 : block.words;
    }

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

    void read_words(const GroupBlock& block) {
        const int words = words_of(block);
        const int step = words == block.words ? block.groups_of_word * pattern_.m : kWordBits;
        const Strides& strides = mask_.strides;
        const std::int64_t stride = strides.column_stride();
        const std::uint8_t* flags = mask_.data + block.offset(strides);
        int w = 0;
        if (block.lines == 1 && stride == 1) {
            w = whole_words(block, block.columns, pattern_);
            word_kernels().read_words(flags, step, w, words_);
            const std::uint64_t groups = ~std::uint64_t{0} >> (kWordBits - step);
            for (int k = 0; k < w; ++k) words_[k] &= groups;
        }
        for (; w < words; ++w) {
            std::uint64_t column[64];
            read_mask_words(flags + w * step * stride, strides.row_stride(), stride, block.lines,
                            std::min(step, block.columns - w * step), column);
            for (int line = 0; line < block.lines; ++line) words_[line * words + w] = column[line];
        }
    }

    void take_line(const GroupBlock& block, std::int64_t group, const std::byte* elements,
                   int readable, const std::uint64_t* words) {
        const int step = block.groups_of_word * pattern_.m;
        // Words that may be read whole, and after which others will be written.
        int plain = whole_words(block, readable, pattern_);
        const auto groups_after = [&](int count) {
            return block.later_groups + block.groups - count * block.groups_of_word;
        };
        while (plain > 0 && groups_after(plain) * pattern_.n < kElementsBeyond) --plain;
        for (int w = 0; w < block.words;) {
            if (w < plain) {
                const int exact = word_kernels().count_exact(words + w, plain - w, pattern_);
                if (exact > 0) {
                    const Compressed to = target(group + w * block.groups_of_word);
                    move_.collect(elements + w * step * item_, step * item_, words + w, exact,
                                  to.values);
                    word_kernels().elements_of(1).collect(positions_.of_word(0), 0, words + w,
                                                          exact,
                                                          reinterpret_cast<std::byte*>(to.indices));
                    w += exact;
                    continue;
                }
            }
            const int first = w * block.groups_of_word;
            take_word(words + w, std::min(block.groups_of_word, block.groups - first),
                      elements + w * step * item_, std::min(step, block.columns - w * step),
                      group + first);
            ++w;
        }
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
            end = move_.collect(from + w * kWordBits * item_, 0, &word, 1, end);
            end_of_indices = word_kernels().elements_of(1).collect(positions_.of_word(w), 0, &word,
                                                                   1, end_of_indices);
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
    const ElementKernels& move_;
    const WordPositions positions_;
    LineCopy copy_;
    std::uint64_t words_[2 * 64];
};

class Decompression {
  public:
    Decompression(const std::byte* values, const std::uint8_t* indices, const Pattern& pattern,
                  const MutableElementsView& elements, std::int64_t groups)
        : values_(values),
          indices_(indices),
          pattern_(pattern),
          elements_(elements),
          entries_(groups * pattern.n),
          item_(static_cast<int>(elements.item_size)),
          move_(word_kernels().elements_of(item_)),
          copy_(elements.item_size) {}

    // Returns whether all indices were below m.
    bool put_back(const GroupBlock& block) {
        const Strides& strides = elements_.strides;
        std::byte* first = elements_.data + block.offset(strides);
        const bool direct = strides.column_stride() == item_;
        const LineBlock lines{first, strides.row_stride(), strides.column_stride(), block.lines,
                              block.columns};
        if (!direct) copy_.resize(lines, kWordBits);
        bool valid = true;
        for (int line = 0; line < block.lines; ++line) {
            const std::int64_t group = block.first_group + line * block.groups_per_line;
            valid &= direct ? put_line(block, group, first + line * strides.row_stride(), 0)
                            : put_line(block, group, copy_.data() + line * copy_.line_stride(),
                                       kWordBits);
        }
        if (!direct) copy_.write(lines);
        return valid;
    }

  private:
    // `beyond`: so many elements beyond the line may be written.
    bool put_line(const GroupBlock& block, std::int64_t group, std::byte* line, int beyond) {
        const int step = block.groups_of_word * pattern_.m, n = pattern_.n;
        int plain = whole_words(block, block.columns + beyond, pattern_);
        const std::int64_t first = group * n, of_word = block.groups_of_word * n;
        while (plain > 0 && first + plain * of_word + kElementsBeyond > entries_) --plain;
        bool valid = true;
        for (int w = 0; w < block.words;) {
            std::uint64_t words[32];
            const int ascending =
                w < plain ? word_kernels().read_positions(indices_ + first + w * of_word, pattern_,
                                                          plain - w, words)
                          : 0;
            move_.spread(values_ + (first + w * of_word) * item_, words, ascending,
                         line + w * step * item_, step * item_);
            w += ascending;
            if (ascending > 0) continue;
            const int before = w * block.groups_of_word;
            valid &=
                put_groups(group + before, std::min(block.groups_of_word, block.groups - before),
                           line + w * step * item_, std::min(step, block.columns - w * step));
            ++w;
        }
        return valid;
    }

    // One value after another, of groups in any order.
    bool put_groups(std::int64_t group, int groups, std::byte* line, int columns) {
        bool valid = true;
        visit_item_bytes(elements_.item_size, [&]<std::size_t kBytes>() {
            std::memset(line, 0, static_cast<std::size_t>(columns) * kBytes);
            std::int64_t k = group * pattern_.n;
            for (int begin = 0; begin < groups * pattern_.m; begin += pattern_.m)
                for (const std::int64_t end = k + pattern_.n; k < end; ++k) {
                    // Read once: another thread may write to it meanwhile.
                    const int index = indices_[k];
                    valid &= index < pattern_.m;
                    if (index >= pattern_.m || begin + index >= columns) continue;
                    std::memcpy(line + (begin + index) * static_cast<std::int64_t>(kBytes),
                                values_ + k * static_cast<std::int64_t>(kBytes), kBytes);
                }
        });
        return valid;
    }

    const std::byte* values_;
    const std::uint8_t* indices_;
    const Pattern pattern_;
    const MutableElementsView& elements_;
    const std::int64_t entries_;
    const int item_;
    const ElementKernels& move_;
    LineCopy copy_;
};

std::int64_t groups_in(const Strides& strides, int m) {
    return strides.planes() * strides.rows() * ((strides.columns() + m - 1) / m);
}

}  // namespace

Status compress(const ElementsView& elements, const ConstMaskView& mask, const Pattern& pattern,
                std::byte* values, std::uint8_t* indices, std::optional<std::int64_t>& overfull,
                const Execution& execution) {
    overfull.reset();
    if (!pattern.valid()) return Status::invalid_argument;
    FirstFound found;
    const bool across = lies_across(elements.strides) || lies_across(mask.strides);
    const Status status = GroupBlocks(elements.strides, pattern.m, across).for_each(execution, [&] {
        return [compression = Compression(elements, mask, pattern, {values, indices}, found)](
                   const GroupBlock& block) mutable { compression.take(block); };
    });
    overfull = found.get();
    return status;
}

Status decompress(const std::byte* values, const std::uint8_t* indices, const Pattern& pattern,
                  const MutableElementsView& elements, bool& valid_indices,
                  const Execution& execution) {
    valid_indices = true;
    if (!pattern.valid()) return Status::invalid_argument;
    std::atomic<bool> valid{true};
    const Strides& strides = elements.strides;
    const GroupBlocks blocks(strides, pattern.m, lies_across(strides));
    const Status status = blocks.for_each(execution, [&] {
        return [&, work = Decompression(values, indices, pattern, elements,
                                        groups_in(strides, pattern.m))](
                   const GroupBlock& block) mutable {
            if (!work.put_back(block)) valid.store(false, std::memory_order_relaxed);
        };
    });
    valid_indices = valid.load();
    return status;
}

}  // namespace tnm
