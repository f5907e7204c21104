// Counting what a mask keeps, group by group.
#pragma once

#include <cstdint>

#include "tnm/array_view.hpp"
#include "tnm/execution.hpp"
#include "tnm/status.hpp"

namespace tnm {

// Counts the kept entries of every group of m along the last axis, and of every group of m along
// the axis before it. Both outputs are C-contiguous:
//   row_counts     planes x rows x ceil(columns / m)
//   column_counts  planes x ceil(rows / m) x columns
Status count_kept(const ConstMaskView& mask, int m, std::uint8_t* row_counts,
                  std::uint8_t* column_counts, const Execution& execution);

}  // namespace tnm
