// 4 x 4 tiles from memory to memory where rows are not contiguous in the array, in the mask or in
// both.
//
// A mask in Fortran order is written as that of the array turned: its rows and columns change
// places, in array and mask, and the kernel is told so.
#pragma once

#include "tiles/solve_request.hpp"
#include "tnm/execution.hpp"
#include "tnm/status.hpp"

namespace tnm {

// Whether there is such a shortcut.
bool has_straight_blocks(const SolveRequest& request);

Status solve_straight_blocks(const SolveRequest& request, const Execution& execution);

}  // namespace tnm
