// Masks for matrices that are too narrow to fill a strip, such as a batch of single tiles.
#pragma once

#include "tiles/solve_request.hpp"
#include "tnm/execution.hpp"
#include "tnm/status.hpp"

namespace tnm {

// Whether a row of tiles has fewer full ones than a strip, and there are more of them elsewhere.
bool is_narrow(const SolveRequest& request);

Status solve_narrow(const SolveRequest& request, const Execution& execution);

}  // namespace tnm
