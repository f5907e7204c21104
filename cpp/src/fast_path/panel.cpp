#include "fast_path/panel.hpp"

#include <algorithm>

namespace tnm {
namespace {

constexpr std::int64_t kCacheLine = 64;

// Kernels may read a strip beyond the last column. Another line keeps rows from lying a power of
// two apart.
std::int64_t row_bytes(int item_bytes, int columns) {
    const std::int64_t bytes = static_cast<std::int64_t>(item_bytes) * (columns + kStripColumns);
    return (bytes + kCacheLine - 1) / kCacheLine * kCacheLine + kCacheLine;
}

}  // namespace

Panel::Panel(int item_bytes, int rows, int columns)
    : item_bytes_(item_bytes),
      row_stride_(row_bytes(item_bytes, columns)),
      memory_(static_cast<std::size_t>(rows * row_stride_ / kCacheLine)),
      copy_(strip_kernels().transposing_copy(item_bytes)) {}

void Panel::start(const ColumnBlock& block) {
    block_ = block;
    announced_ = copied_ = 0;
}

RowsInMemory Panel::announce(int columns) {
    const int count = std::min(columns, block_.columns - announced_);
    const std::byte* first = block_.data + announced_ * block_.column_stride;
    announced_ += count;
    return {first, block_.column_stride, static_cast<std::int64_t>(block_.rows) * item_bytes_,
            count};
}

void Panel::copy_announced() {
    const int step = static_cast<int>(kCacheLine) / item_bytes_;
    const int count = announced_ - copied_;
    copy(announced_ == block_.columns ? count : count / step * step);
}

void Panel::copy_rest() {
    copy(block_.columns - copied_);
}

void Panel::copy(int columns) {
    if (columns == 0) return;
    const ColumnBlock part{block_.data + copied_ * block_.column_stride, block_.column_stride,
                           block_.rows, columns};
    copy_(part, memory_.data()->bytes + copied_ * item_bytes_, row_stride_);
    copied_ += columns;
}

}  // namespace tnm
