// Blocks of elements with any strides as lines whose elements lie next to each other.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <vector>

#include "fast_path/strip_kernels.hpp"
#include "tiles/item_bytes.hpp"
#include "tnm/array_view.hpp"

namespace tnm {

// Where a block begins, and how far apart its lines and the elements of a line lie.
struct LineBlock {
    std::byte* data;
    std::int64_t line_stride, stride;
    int lines, columns;
};

// Lines one after another in memory of their own.
class LineCopy {
  public:
    explicit LineCopy(std::size_t item_bytes) : item_(static_cast<std::int64_t>(item_bytes)) {}

    // Makes room for the lines of a block, and for so many elements beyond each.
    void resize(const LineBlock& block, int beyond) {
        line_stride_ = (block.columns + beyond) * item_;
        memory_.resize(static_cast<std::size_t>(block.lines * line_stride_));
    }
    void read(const LineBlock& block) {
        if (is_turned(block))
            turn()({block.data, block.stride, block.lines, block.columns}, memory_.data(),
                   line_stride_);
        else
            copy(block, [](std::byte* own, std::byte* given, std::size_t bytes) {
                std::memcpy(own, given, bytes);
            });
    }
    void write(const LineBlock& block) {
        if (is_turned(block))
            turn()({memory_.data(), line_stride_, block.columns, block.lines}, block.data,
                   block.stride);
        else
            copy(block, [](std::byte* own, std::byte* given, std::size_t bytes) {
                std::memcpy(given, own, bytes);
            });
    }

    std::byte* data() { return memory_.data(); }
    std::int64_t line_stride() const { return line_stride_; }

  private:
    // Whether lines lie next to each other, element by element.
    bool is_turned(const LineBlock& block) const {
        return block.line_stride == item_ && item_ <= 8;
    }
    CopyTransposed turn() const {
        return strip_kernels().transposing_copy(static_cast<int>(item_));
    }
    template <class Move>
    void copy(const LineBlock& block, const Move& move) {
        visit_item_bytes(static_cast<std::size_t>(item_), [&]<std::size_t kBytes>() {
            for (int line = 0; line < block.lines; ++line) {
                std::byte* own = memory_.data() + line * line_stride_;
                std::byte* given = block.data + line * block.line_stride;
                for (int j = 0; j < block.columns; ++j, own += kBytes, given += block.stride)
                    move(own, given, kBytes);
            }
        });
    }

    std::int64_t item_, line_stride_ = 0;
    std::vector<std::byte> memory_;
};

}  // namespace tnm
