#include "fast_path/solve.hpp"

#include "fast_path/solve_panels.hpp"
#include "fast_path/strip_pipeline.hpp"
#include "tiles/solve_tiles.hpp"

namespace tnm {
namespace {

bool has_kernels(const SolveRequest& request) {
    return request.method != SolveMethod::approximate && request.pattern.m <= kLargestStripM &&
           request.pattern.n < request.pattern.m;
}

}  // namespace

Status solve(const SolveRequest& request, const Execution& execution) {
    if (!request.consistent()) return Status::invalid_argument;
    if (!has_kernels(request)) return solve_tiles(request, execution);
    if (has_contiguous_columns(request.array)) return solve_panels(request, execution);
    return solve_strips(request, execution);
}

}  // namespace tnm
