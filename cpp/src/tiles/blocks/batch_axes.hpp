// Batch axes in the order of memory, as few as there can be.
#pragma once

#include "tiles/solve_request.hpp"

namespace tnm {

// The same request with those batch axes joined that lie behind one another in both arrays. Without
// an observer, who is told the numbers of tiles, the matrices also come in the order of memory.
SolveRequest with_joined_batch_axes(const SolveRequest& request);

}  // namespace tnm
