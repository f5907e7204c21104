#include "copies/block_copy.hpp"

#include <algorithm>
#include <utility>

namespace tnm {
namespace {

constexpr std::int64_t kCacheLine = 64;

// Another line keeps rows from lying a power of two apart.
std::int64_t row_bytes(int item_bytes, int columns) {
    const std::int64_t bytes = static_cast<std::int64_t>(item_bytes) * columns;
    return (bytes + kCacheLine - 1) / kCacheLine * kCacheLine + kCacheLine;
}

}  // namespace

BlockCopy::BlockCopy(int item_bytes, int planes, int rows, int columns, int spare)
    : item_bytes_(item_bytes),
      row_stride_(row_bytes(item_bytes, columns + spare)),
      plane_stride_(rows * row_stride_),
      memory_(static_cast<std::size_t>(planes * plane_stride_ / kCacheLine)),
      copy_(item_bytes) {}

void BlockCopy::start(const ElementBox& box) {
    box_ = box;
    prefetched_ = copied_ = 0;
}

RowsInMemory BlockCopy::prefetch_next(int columns) {
    const int count = std::min(columns, box_.columns - prefetched_);
    const std::byte* first = box_.from_column(prefetched_).data;
    prefetched_ += count;
    return lines_in_memory(first, axes(count), item_bytes_);
}

void BlockCopy::copy_prefetched() {
    const int step = static_cast<int>(kCacheLine) / item_bytes_;
    const int count = prefetched_ - copied_;
    copy(prefetched_ == box_.columns ? count : count / step * step);
}

void BlockCopy::copy_rest() {
    copy(box_.columns - copied_);
}

void BlockCopy::write_back() const {
    CopyAxes back = axes(box_.columns);
    for (CopyAxis& axis : back) std::swap(axis.from, axis.to);
    // Who asks for this named memory that may be written.
    copy_(reinterpret_cast<const std::byte*>(memory_.data()), const_cast<std::byte*>(box_.data),
          back);
}

void BlockCopy::copy(int columns) {
    if (columns == 0) return;
    copy_(box_.from_column(copied_).data,
          reinterpret_cast<std::byte*>(memory_.data()) + copied_ * item_bytes_, axes(columns));
    copied_ += columns;
}

CopyAxes BlockCopy::axes(int columns) const {
    return {{{box_.planes, box_.plane_stride, plane_stride_},
             {box_.rows, box_.row_stride, row_stride_},
             {columns, box_.column_stride, item_bytes_}}};
}

ElementsInMemory BlockCopy::at(int plane, int row) const {
    return {reinterpret_cast<const std::byte*>(memory_.data()) + plane * plane_stride_ +
                row * row_stride_,
            row_stride_, item_bytes_};
}

}  // namespace tnm
