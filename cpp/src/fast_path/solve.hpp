// Masks by the quickest road that there is for a request.
#pragma once

#include "tiles/solve_request.hpp"
#include "tnm/execution.hpp"
#include "tnm/status.hpp"

namespace tnm {

Status solve(const SolveRequest& request, const Execution& execution);

}  // namespace tnm
