#include "tnm/compress.hpp"

#include <atomic>
#include <bit>
#include <cstring>

#include "groups/group_blocks.hpp"
#include "tiles/item_bytes.hpp"
#include "tiles/mask_words.hpp"

namespace tnm {
namespace {

// Up to 64 positions of a group, a bit for each.
constexpr std::uint64_t lowest_positions(int count) {
    return count == 0 ? 0 : ~std::uint64_t{0} >> (64 - count);
}

// Which positions of a group are written: all kept ones, and as many dropped ones as n leaves room
// for, lowest first.
class Positions {
  public:
    // As many words as kMaxM takes.
    static constexpr int kWords = kMaxM / 64;

    // Returns false if the group keeps more than n.
    bool choose(const std::uint64_t (&kept)[kWords], const Pattern& pattern) {
        int fill = pattern.n;
        for (int w = 0; w < kWords; ++w) {
            kept_[w] = chosen_[w] = kept[w];
            fill -= std::popcount(kept[w]);
        }
        if (fill < 0) return false;
        for (int w = 0; fill > 0; ++w) {
            std::uint64_t dropped =
                ~kept_[w] & lowest_positions(std::clamp(pattern.m - 64 * w, 0, 64));
            for (; fill > 0 && dropped != 0; --fill, dropped &= dropped - 1)
                chosen_[w] |= dropped & -dropped;
        }
        return true;
    }

    // Calls visit(position, is_kept) in ascending order.
    template <class Visit>
    void for_each(const Visit& visit) const {
        for (int w = 0; w < kWords; ++w)
            for (std::uint64_t left = chosen_[w]; left != 0; left &= left - 1) {
                const int bit = std::countr_zero(left);
                visit(64 * w + bit, (kept_[w] >> bit & 1) != 0);
            }
    }

  private:
    std::uint64_t kept_[kWords], chosen_[kWords];
};

struct Compressed {
    std::byte* values;
    std::uint8_t* indices;
};

// The common case: a group of up to 64 that keeps exactly n.
template <std::size_t kBytes>
void take_kept(std::uint64_t kept, int n, const std::byte* elements, std::int64_t stride,
               const Compressed& to) {
    for (int k = 0; k < n; ++k, kept &= kept - 1) {
        const int position = std::countr_zero(kept);
        to.indices[k] = static_cast<std::uint8_t>(position);
        std::memcpy(to.values + k * kBytes, elements + position * stride, kBytes);
    }
}

template <std::size_t kBytes>
void take_chosen(const Positions& positions, const std::byte* elements, std::int64_t stride,
                 Compressed to) {
    positions.for_each([&](int position, bool is_kept) {
        *to.indices++ = static_cast<std::uint8_t>(position);
        if (is_kept)
            std::memcpy(to.values, elements + position * stride, kBytes);
        else
            std::memset(to.values, 0, kBytes);
        to.values += kBytes;
    });
}

class Compression {
  public:
    Compression(const ElementsView& elements, const ConstMaskView& mask, const Pattern& pattern,
                const Compressed& to)
        : elements_(elements), mask_(mask), pattern_(pattern), to_(to) {}

    template <std::size_t kBytes>
    void take(const GroupBlock& block) {
        if (found_.precedes(block.first_group)) return;
        if (pattern_.m > 64) return take_wide<kBytes>(block);
        std::uint64_t words[64];
        read_mask_words(mask_.data + block.offset(mask_.strides), mask_.strides.row_stride(),
                        mask_.strides.column_stride(), block.rows, block.columns, words);
        const std::byte* elements = elements_.data + block.offset(elements_.strides);
        for (int r = 0; r < block.rows; ++r, elements += elements_.strides.row_stride())
            take_row<kBytes>(words[r], elements, block.groups,
                             block.first_group + r * block.groups_per_row);
    }
    std::optional<std::int64_t> overfull() const { return found_.get(); }

  private:
    template <std::size_t kBytes>
    void take_row(std::uint64_t word, const std::byte* elements, int groups, std::int64_t group) {
        const std::int64_t stride = elements_.strides.column_stride();
        const std::uint64_t all = lowest_positions(pattern_.m);
        for (int g = 0; g < groups; ++g, elements += pattern_.m * stride) {
            const std::uint64_t kept = word >> (g * pattern_.m) & all;
            if (std::popcount(kept) == pattern_.n)
                take_kept<kBytes>(kept, pattern_.n, elements, stride, target<kBytes>(group + g));
            else
                take_other<kBytes>({kept}, elements, group + g);
        }
    }

    template <std::size_t kBytes>
    void take_wide(const GroupBlock& block) {
        for (int r = 0; r < block.rows; ++r) {
            std::uint64_t kept[Positions::kWords] = {};
            const std::uint8_t* flags =
                mask_.data + block.offset(mask_.strides) + r * mask_.strides.row_stride();
            for (int j = 0; j < block.columns; j += 64)
                read_mask_words(flags + j * mask_.strides.column_stride(), 0,
                                mask_.strides.column_stride(), 1, std::min(64, block.columns - j),
                                &kept[j / 64]);
            take_other<kBytes>(kept,
                               elements_.data + block.offset(elements_.strides) +
                                   r * elements_.strides.row_stride(),
                               block.first_group + r * block.groups_per_row);
        }
    }

    template <std::size_t kBytes>
    void take_other(const std::uint64_t (&kept)[Positions::kWords], const std::byte* elements,
                    std::int64_t group) {
        Positions positions;
        if (!positions.choose(kept, pattern_)) return found_.report(group);
        take_chosen<kBytes>(positions, elements, elements_.strides.column_stride(),
                            target<kBytes>(group));
    }

    template <std::size_t kBytes>
    Compressed target(std::int64_t group) const {
        const std::int64_t first = group * pattern_.n;
        return {to_.values + first * static_cast<std::int64_t>(kBytes), to_.indices + first};
    }

    const ElementsView& elements_;
    const ConstMaskView& mask_;
    const Pattern pattern_;
    const Compressed to_;
    FirstFound found_;
};

// Returns whether all indices were below m.
template <std::size_t kBytes>
bool put_back(const GroupBlock& block, const std::byte* values, const std::uint8_t* indices,
              const Pattern& pattern, const MutableElementsView& elements) {
    const std::int64_t stride = elements.strides.column_stride();
    std::byte* row = elements.data + block.offset(elements.strides);
    bool valid = true;
    for (int r = 0; r < block.rows; ++r, row += elements.strides.row_stride()) {
        std::int64_t k = (block.first_group + r * block.groups_per_row) * pattern.n;
        for (int column = 0; column < block.columns; column += pattern.m) {
            const int width = std::min(pattern.m, block.columns - column);
            for (const std::int64_t end = k + pattern.n; k < end; ++k) {
                // Read once: another thread may write to it meanwhile.
                const int index = indices[k];
                valid &= index < pattern.m;
                if (index >= width) continue;
                std::memcpy(row + (column + index) * stride,
                            values + k * static_cast<std::int64_t>(kBytes), kBytes);
            }
        }
    }
    return valid;
}

}  // namespace

Status compress(const ElementsView& elements, const ConstMaskView& mask, const Pattern& pattern,
                std::byte* values, std::uint8_t* indices, std::optional<std::int64_t>& overfull,
                const Execution& execution) {
    overfull.reset();
    if (!pattern.valid()) return Status::invalid_argument;
    Compression compression(elements, mask, pattern, {values, indices});
    const GroupBlocks blocks(elements.strides, pattern.m);
    Status status = Status::ok;
    visit_item_bytes(elements.item_size, [&]<std::size_t kBytes>() {
        status = blocks.for_each(
            execution, [&](const GroupBlock& block) { compression.template take<kBytes>(block); });
    });
    overfull = compression.overfull();
    return status;
}

Status decompress(const std::byte* values, const std::uint8_t* indices, const Pattern& pattern,
                  const MutableElementsView& elements, bool& valid_indices,
                  const Execution& execution) {
    valid_indices = true;
    if (!pattern.valid()) return Status::invalid_argument;
    std::atomic<bool> valid{true};
    const GroupBlocks blocks(elements.strides, pattern.m);
    Status status = Status::ok;
    visit_item_bytes(elements.item_size, [&]<std::size_t kBytes>() {
        status = blocks.for_each(execution, [&](const GroupBlock& block) {
            if (!put_back<kBytes>(block, values, indices, pattern, elements))
                valid.store(false, std::memory_order_relaxed);
        });
    });
    valid_indices = valid.load();
    return status;
}

}  // namespace tnm
