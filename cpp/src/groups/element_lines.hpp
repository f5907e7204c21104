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

// Of lines that lie next to each other: with how many a first block ends where a cache line does,
// so that no cache line is shared by two blocks.
template <class Byte>
int lines_of_first_block(const Strides& strides, std::int64_t item, const Byte* data) {
    constexpr std::int64_t kCacheLine = 64;
    const bool are_long = strides.rows() >= 4 * GroupBlocks::kMostLines;
    const auto past =
        static_cast<std::int64_t>(reinterpret_cast<std::uintptr_t>(data) % kCacheLine);
    if (strides.row_stride() != item || !are_long || past == 0 || past % item != 0 ||
        strides.column_stride() % kCacheLine != 0)
        return GroupBlocks::kMostLines;
    return static_cast<int>((kCacheLine - past) / item);
}

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

// The lines of a block, at most GroupBlocks::kMostLines, in memory of its own.
class LineCopy {
  public:
    explicit LineCopy(std::size_t item_bytes) : item_(static_cast<std::int64_t>(item_bytes)) {}

    bool is_needed(const LineBlock& block) const { return block.stride != item_; }

    // Makes room for the lines of a block, and for a word of elements beyond each.
    Lines room_for(const LineBlock& block) {
        // Another cache line keeps lines from lying a power of two apart.
        stride_ = (block.columns + kWordBits) * item_ + kCacheLine;
        stride_ = (stride_ + kCacheLine - 1) / kCacheLine * kCacheLine;
        memory_.resize(static_cast<std::size_t>(block.lines * stride_ / kCacheLine));
        return {own(0, 0), stride_, block.columns + kWordBits};
    }
    // `next`: what will be read after that.
    Lines read(const LineBlock& block, const LineBlock& next = {}) {
        const Lines own = room_for(block);
        move<Way::in>(block, next);
        return own;
    }
    void write(const LineBlock& block) { move<Way::out>(block, {}); }

    // What is to be read, copied if need be.
    Lines to_read(const LineBlock& block, const LineBlock& next) {
        return is_needed(block) ? read(block, next) : block.as_lines();
    }

  private:
    enum class Way { in, out };
    static constexpr std::int64_t kCacheLine = 64;

    template <Way kWay>
    void move(const LineBlock& block, const LineBlock& next) {
        if (block.line_stride == item_ && item_ <= 8) return turn<kWay>(block, next);
        visit_item_bytes(static_cast<std::size_t>(item_), [&]<std::size_t kBytes>() {
            for (int line = 0; line < block.lines; ++line) {
                std::byte* here = own(line, 0);
                std::byte* there = block.data + line * block.line_stride;
                for (int j = 0; j < block.columns; ++j, here += kBytes, there += block.stride)
                    copy<kWay>(here, there, kBytes);
            }
        });
    }

    template <Way kWay>
    static void copy(std::byte* here, std::byte* there, std::size_t bytes) {
        std::memcpy(kWay == Way::in ? here : there, kWay == Way::in ? there : here, bytes);
    }

    // Lines that lie next to each other, a piece of memory for each column. Pieces are short and
    // mostly a power of two apart: the hardware does not see them coming, and they push each other
    // out of the first cache. Each is asked for early, and copied at once.
    template <Way kWay>
    void turn(const LineBlock& block, const LineBlock& next) {
        constexpr int kAtOnce = 32;
        constexpr std::int64_t kPieceStride = GroupBlocks::kMostLines * 8 + kCacheLine;
        alignas(kCacheLine) std::byte pieces[kAtOnce * kPieceStride];
        const CopyTransposed transpose = copy_kernels().transposing_copy(static_cast<int>(item_));
        const std::int64_t bytes = block.lines * item_;
        for (int column = 0; column < block.columns; column += kAtOnce) {
            const int count = std::min(kAtOnce, block.columns - column);
            if constexpr (kWay == Way::out)
                transpose({own(0, column), stride_, count, block.lines}, pieces, kPieceStride);
            for (int k = 0; k < count; ++k) {
                const int later = column + k + kAtOnce, after = later - block.columns;
                if (after < 0)
                    prefetch(block.data + later * block.stride, bytes);
                else if (after < next.columns)
                    prefetch(next.data + after * next.stride, next.lines * item_);
                copy<kWay>(pieces + k * kPieceStride, block.data + (column + k) * block.stride,
                           static_cast<std::size_t>(bytes));
            }
            if constexpr (kWay == Way::in)
                transpose({pieces, kPieceStride, block.lines, count}, own(0, column), stride_);
        }
    }

    // To the second cache, which has room for pieces that lie a power of two apart.
    static void prefetch(const std::byte* data, std::int64_t bytes) {
        const std::byte* line = data - reinterpret_cast<std::uintptr_t>(data) % kCacheLine;
        for (; line < data + bytes; line += kCacheLine) __builtin_prefetch(line, 0, 2);
    }

    struct alignas(kCacheLine) CacheLine {
        std::byte bytes[kCacheLine];
    };
    std::byte* own(int line, int column) {
        return reinterpret_cast<std::byte*>(memory_.data()) + line * stride_ + column * item_;
    }

    std::int64_t item_, stride_ = 0;
    std::vector<CacheLine> memory_;
};

}  // namespace tnm
