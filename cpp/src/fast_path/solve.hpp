// Masks by the quickest road that there is for a request.
#pragma once

#include "tiles/solve_request.hpp"
#include "tnm/execution.hpp"
#include "tnm/road.hpp"
#include "tnm/status.hpp"

namespace tnm {

// The one that solve() takes.
RoadReport road_of(const SolveRequest& request);

Status solve(const SolveRequest& request, const Execution& execution);

}  // namespace tnm
