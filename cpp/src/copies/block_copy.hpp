// Part of a batch of matrices, copied so that the elements of a row are neighbours, and back; flags
// are elements, too.
//
// Where it is the columns that are contiguous, reading row by row touches a cache line for every
// few bytes, and lines that lie a power of two apart push each other out of the cache. A copy takes
// whole lines, once; so it does where it is the matrices of a batch that are woven together.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "copies/strided_copy.hpp"
#include "tiles/load_scores.hpp"

namespace tnm {

// The elements of several matrices.
struct ElementBox : ElementsInMemory {
    std::int64_t plane_stride = 0;
    int planes = 0, rows = 0, columns = 0;
};

class BlockCopy {
  public:
    // For boxes of up to so many planes, rows and columns. Of a row, `spare` more elements can be
    // read than there are columns.
    BlockCopy(int item_bytes, int planes, int rows, int columns, int spare);

    // Names what to copy; nothing is copied yet.
    void start(const ElementBox& box);
    // Copying need not wait for memory that has been asked for before: this is the memory of the
    // next columns, which then ...
    RowsInMemory prefetch_next(int columns);
    // ... are copied here, when they are enough for whole steps.
    void copy_prefetched();
    void copy_rest();
    // The other way: all of the copy goes to where it belongs.
    void write_back() const;

    ElementsInMemory at(int plane, int row) const;

  private:
    struct alignas(64) CacheLine {
        std::byte bytes[64];
    };

    void copy(int columns);
    CopyAxes axes(int columns) const;

    int item_bytes_;
    std::int64_t row_stride_, plane_stride_;
    std::vector<CacheLine> memory_;
    StridedCopy copy_;
    ElementBox box_;
    int prefetched_ = 0, copied_ = 0;
};

}  // namespace tnm
