// Masks where the elements of a row, or their flags, are not neighbours in memory: Fortran order,
// transposed and sliced views, batch axes behind those of the matrices.
#pragma once

#include "tiles/solve_request.hpp"
#include "tnm/execution.hpp"
#include "tnm/status.hpp"

namespace tnm {

bool needs_copies(const SolveRequest& request);

// Batch axes as with_joined_batch_axes() leaves them.
Status solve_blocks(const SolveRequest& request, const Execution& execution);

}  // namespace tnm
