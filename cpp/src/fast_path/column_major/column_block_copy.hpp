// Part of a matrix whose columns are contiguous in memory, copied so that its rows are.
//
// Read row by row, such a matrix touches a cache line for every few bytes, and lines that lie a
// power of two apart push each other out of the cache. A copy takes whole lines, once.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "fast_path/strip_kernels.hpp"
#include "tiles/load_scores.hpp"

namespace tnm {

class ColumnBlockCopy {
  public:
    // For blocks of up to so many rows and columns.
    ColumnBlockCopy(int item_bytes, int rows, int columns);

    // Names what to copy; nothing is copied yet.
    void start(const ColumnBlock& block);
    // Copying need not wait for memory that has been asked for before: this is the memory of the
    // next columns, which then ...
    RowsInMemory prefetch_next(int columns);
    // ... are copied here, when they are enough for whole steps.
    void copy_prefetched();
    void copy_rest();

    std::int64_t row_stride() const { return row_stride_; }
    const std::byte* row(int i) const {
        return reinterpret_cast<const std::byte*>(memory_.data()) + i * row_stride_;
    }

  private:
    struct alignas(64) CacheLine {
        std::byte bytes[64];
    };

    void copy(int columns);

    int item_bytes_;
    std::int64_t row_stride_;
    std::vector<CacheLine> memory_;
    CopyTransposed copy_;
    ColumnBlock block_;
    int prefetched_ = 0, copied_ = 0;
};

}  // namespace tnm
