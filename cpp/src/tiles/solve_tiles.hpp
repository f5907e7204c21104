// The road for every method, pattern and layout: walk the tiles, load, solve, prove, store.
#pragma once

#include "tiles/solve_request.hpp"
#include "tnm/execution.hpp"
#include "tnm/status.hpp"

namespace tnm {

Status solve_tiles(const SolveRequest& request, const Execution& execution);

}  // namespace tnm
