// Positions become words of bits, and values move apart by them; where positions do not ascend, one
// after another.
#include <atomic>
#include <cstring>

#include "groups/element_lines.hpp"
#include "groups/group_blocks.hpp"
#include "groups/positions.hpp"
#include "groups/word_sequence.hpp"
#include "tiles/item_bytes.hpp"
#include "tnm/compress.hpp"
#include "words/word_kernels.hpp"

namespace tnm {
namespace {

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
          kernels_(word_kernels()),
          spread_(kernels_.elements_of(item_).spread),
          bits_(pattern.m > kWordBits ? PositionBits{} : position_bits(pattern)),
          copy_(elements.item_size) {}

    // Returns whether all indices were below m.
    bool put_back(const GroupBlock& block) {
        const LineBlock given = line_block(block, elements_.strides, elements_.data);
        const Lines lines = copy_.is_needed(given) ? copy_.room_for(given) : given.as_lines();
        bool valid = true;
        Prefetcher sources = prefetcher_of(block, pattern_.n, values_, indices_, item_);
        for (int k = 0; k < block.lines; ++k) {
            sources.prefetch(1);
            valid &= put_line(block.only_line(k), lines[k], lines.readable);
        }
        if (copy_.is_needed(given)) copy_.write(given);
        return valid;
    }

  private:
    // `writable`: so many elements of the line.
    bool put_line(const GroupBlock& block, std::byte* line, int writable) {
        const WordSequence sequence(block, pattern_.m, writable);
        const std::int64_t step = sequence.columns_of_word * item_;
        const int values_of_word = sequence.groups_of_word * pattern_.n;
        bool valid = true;
        for (int k = 0; k < sequence.count;) {
            const std::int64_t first = block.first_group * pattern_.n + k * values_of_word;
            int whole = std::max(0, sequence.whole - k);
            // More values and indices are read than count.
            const int read = std::max(values_of_word + kElementsBeyond, kWordBits + 1);
            while (whole > 0 && first + (whole - 1) * values_of_word + read > entries_) --whole;
            std::uint64_t words[GroupBlocks::kMostWords];
            const int ascending = kernels_.read_positions(indices_ + first, values_of_word, bits_,
                                                          pattern_, whole, words);
            if (ascending > 0)
                spread_(values_ + first * item_, values_of_word * item_, words, ascending,
                        line + k * step, step);
            else
                valid &= put_groups(first, sequence.groups(block, k), line + k * step,
                                    sequence.columns(block, k));
            k += std::max(ascending, 1);
        }
        return valid;
    }

    // One value after another, of groups in any order.
    bool put_groups(std::int64_t first, int groups, std::byte* line, int columns) {
        bool valid = true;
        visit_item_bytes(elements_.item_size, [&]<std::size_t kBytes>() {
            std::memset(line, 0, static_cast<std::size_t>(columns) * kBytes);
            std::int64_t k = first;
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
    const WordKernels& kernels_;
    const decltype(ElementKernels::spread) spread_;
    const PositionBits bits_;
    LineCopy copy_;
};

}  // namespace

Status decompress(const std::byte* values, const std::uint8_t* indices, const Pattern& pattern,
                  const MutableElementsView& elements, bool& valid_indices,
                  const Execution& execution) {
    valid_indices = true;
    if (!pattern.valid()) return Status::invalid_argument;
    std::atomic<bool> valid{true};
    const Strides& strides = elements.strides;
    const auto item = static_cast<std::int64_t>(elements.item_size);
    const GroupBlocks blocks(strides, pattern.m, lies_across(strides),
                             lines_of_first_block(strides, item, elements.data));
    const Status status = blocks.for_each(execution, [&] {
        return [&, work = Decompression(values, indices, pattern, elements, blocks.groups())](
                   const GroupBlock& block, const GroupBlock&) mutable {
            if (!work.put_back(block)) valid.store(false, std::memory_order_relaxed);
        };
    });
    valid_indices = valid.load();
    return status;
}

}  // namespace tnm
