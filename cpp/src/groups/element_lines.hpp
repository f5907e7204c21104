// Blocks of elements with any strides as lines whose elements lie next to each other.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <vector>

#include "copies/copy_kernels.hpp"
#include "groups/group_blocks.hpp"
#include "tiles/item_bytes.hpp"
#include "tiles/prefetcher.hpp"
#include "tnm/array_view.hpp"
#include "words/word_kernels.hpp"

namespace tnm {

// Lines whose elements lie next to each other; `readable`: so many of each may be touched.
struct Lines {
    std::byte* data;
    std::int64_t stride;
    int readable;

    std::byte* operator[](int line) const { return data + line * stride; }
};

// Where a block begins, and how far apart its lines and the elements of a line lie.
struct LineBlock {
    std::byte* data;
    std::int64_t line_stride, stride;
    int lines, columns;

    // Where elements of a line lie next to each other.
    Lines as_lines() const { return {data, line_stride, columns}; }
};

template <class Byte>
LineBlock line_block(const GroupBlock& block, const Strides& strides, Byte* data) {
    return {const_cast<std::byte*>(data) + block.offset(strides), strides.row_stride(),
            strides.column_stride(), block.lines, block.columns};
}

// Of the values and positions of a block's groups, line by line.
inline Prefetcher prefetcher_of(const GroupBlock& block, int n, const std::byte* values,
                                const std::uint8_t* indices, std::int64_t item) {
    const std::int64_t first = block.first_group * n, apart = block.groups_per_line * n;
    const std::int64_t count = std::int64_t{block.groups} * n;
    return {{values + first * item, apart * item, count * item, block.lines},
            {reinterpret_cast<const std::byte*>(indices) + first, apart, count, block.lines}};
}

// The lines of a block in memory of its own.
class LineCopy {
  public:
    explicit LineCopy(std::size_t item_bytes) : item_(static_cast<std::int64_t>(item_bytes)) {}

    bool is_needed(const LineBlock& block) const { return block.stride != item_; }

    // Makes room for the lines of a block, and for a word of elements beyond each.
    Lines room_for(const LineBlock& block) {
        // Another cache line keeps lines from lying a power of two apart.
        stride_ = (block.columns + kWordBits) * item_ + kCacheLine;
        memory_.resize(static_cast<std::size_t>(block.lines * stride_));
        return {memory_.data(), stride_, block.columns + kWordBits};
    }
    Lines read(const LineBlock& block) {
        const Lines own = room_for(block);
        move<Way::in>(block);
        return own;
    }
    void write(const LineBlock& block) { move<Way::out>(block); }

    // What is to be read, copied if need be.
    Lines to_read(const LineBlock& block) {
        return is_needed(block) ? read(block) : block.as_lines();
    }

  private:
    enum class Way { in, out };
    static constexpr std::int64_t kCacheLine = 64;

    template <Way kWay>
    void move(const LineBlock& block) {
        if (block.line_stride == item_ && item_ <= 8) return turn<kWay>(block);
        visit_item_bytes(static_cast<std::size_t>(item_), [&]<std::size_t kBytes>() {
            for (int line = 0; line < block.lines; ++line) {
                std::byte* own = memory_.data() + line * stride_;
                std::byte* given = block.data + line * block.line_stride;
                for (int j = 0; j < block.columns; ++j, own += kBytes, given += block.stride)
                    std::memcpy(kWay == Way::in ? own : given, kWay == Way::in ? given : own,
                                kBytes);
            }
        });
    }

    // Lines that lie next to each other, element by element. Short pieces that lie far apart are
    // not seen coming by the hardware: some are asked for while others are copied.
    template <Way kWay>
    void turn(const LineBlock& block) {
        constexpr int kAtOnce = 32;
        const CopyTransposed copy = copy_kernels().transposing_copy(static_cast<int>(item_));
        const auto pieces = [&](int column) -> RowsInMemory {
            const int count = std::clamp(block.columns - column, 0, kAtOnce);
            return {block.data + column * block.stride, block.stride, block.lines * item_, count};
        };
        Prefetcher(pieces(0), {}).prefetch(kAtOnce);
        for (int column = 0; column < block.columns; column += kAtOnce) {
            Prefetcher(pieces(column + kAtOnce), {}).prefetch(kAtOnce);
            const RowsInMemory given = pieces(column);
            std::byte* const own = memory_.data() + column * item_;
            if constexpr (kWay == Way::in)
                copy({given.data, block.stride, block.lines, given.rows}, own, stride_);
            else
                copy({own, stride_, given.rows, block.lines}, block.data + column * block.stride,
                     block.stride);
        }
    }

    std::int64_t item_, stride_ = 0;
    std::vector<std::byte> memory_;
};

}  // namespace tnm
