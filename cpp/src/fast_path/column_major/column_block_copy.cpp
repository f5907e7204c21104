#include "fast_path/column_major/column_block_copy.hpp"

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

ColumnBlockCopy::ColumnBlockCopy(int item_bytes, int rows, int columns)
    : item_bytes_(item_bytes),
      row_stride_(row_bytes(item_bytes, columns)),
      memory_(static_cast<std::size_t>(rows * row_stride_ / kCacheLine)),
      copy_(strip_kernels().transposing_copy(item_bytes)) {}

void ColumnBlockCopy::start(const ColumnBlock& block) {
    block_ = block;
    prefetched_ = copied_ = 0;
}

RowsInMemory ColumnBlockCopy::prefetch_next(int columns) {
    const int count = std::min(columns, block_.columns - prefetched_);
    const std::byte* first = block_.data + prefetched_ * block_.column_stride;
    prefetched_ += count;
    return {first, block_.column_stride, static_cast<std::int64_t>(block_.rows) * item_bytes_,
            count};
}

void ColumnBlockCopy::copy_prefetched() {
    const int step = static_cast<int>(kCacheLine) / item_bytes_;
    const int count = prefetched_ - copied_;
    copy(prefetched_ == block_.columns ? count : count / step * step);
}

void ColumnBlockCopy::copy_rest() {
    copy(block_.columns - copied_);
}

void ColumnBlockCopy::copy(int columns) {
    if (columns == 0) return;
    const ColumnBlock part{block_.data + copied_ * block_.column_stride, block_.column_stride,
                           block_.rows, columns};
    copy_(part, reinterpret_cast<std::byte*>(memory_.data()) + copied_ * item_bytes_, row_stride_);
    copied_ += columns;
}

}  // namespace tnm
