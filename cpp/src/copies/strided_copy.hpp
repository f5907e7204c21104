// Copying boxes of elements between places in memory that are laid out in different ways.
#pragma once

#include <array>

#include "copies/copy_kernels.hpp"
#include "tiles/prefetcher.hpp"

namespace tnm {

// How many elements lie along an axis, and how many bytes apart here and there.
struct CopyAxis {
    std::int64_t count = 1, from = 0, to = 0;
};
using CopyAxes = std::array<CopyAxis, 4>;

// The memory that elements are read from, as lines of which each holds whole cache lines' worth of
// them; nothing if there are no such lines.
RowsInMemory lines_in_memory(const std::byte* from, const CopyAxes& axes, int item_bytes);

class StridedCopy {
  public:
    explicit StridedCopy(int item_bytes)
        : item_bytes_(item_bytes),
          transpose_(copy_kernels().transposing_copy(item_bytes)),
          gather_row_(copy_kernels().strided_row_copy(item_bytes)) {}

    // Axes in any order. No element is written twice.
    void operator()(const std::byte* from, std::byte* to, CopyAxes axes) const;

  private:
    void gather_rows(const std::byte* from, std::byte* to, const CopyAxes& axes) const;

    int item_bytes_;
    CopyTransposed transpose_;
    CopyStridedRow gather_row_;
};

}  // namespace tnm
