#include "fast_path/solve.hpp"

#include "fast_path/blocks/batch_axes.hpp"
#include "fast_path/blocks/solve_blocks.hpp"
#include "fast_path/narrow/solve_narrow.hpp"
#include "fast_path/pipelines/strip_pipeline.hpp"
#include "fast_path/strip.hpp"
#include "tiles/tile_pipeline.hpp"

namespace tnm {
namespace {

bool has_kernels(const SolveRequest& request) {
    return request.method != SolveMethod::approximate && request.pattern.m <= kLargestStripM &&
           request.pattern.n < request.pattern.m;
}

// Takes all runs, wherever their elements lie, through pipelines, one per thread.
template <class Make>
Status solve_runs(const SolveRequest& request, const Execution& execution,
                  const Make& make_pipeline) {
    return walk_tiles(
        request.grid(), request.array.strides.planes(), execution, [&]() -> RunWorker {
            return [&, pipeline = std::shared_ptr(make_pipeline())](const TileRun& run) {
                const int m = request.pattern.m;
                return (*pipeline)(run, elements_of(request.array, m, run),
                                   flags_of(request.mask, m, run));
            };
        });
}

}  // namespace

Status solve(const SolveRequest& request, const Execution& execution) {
    if (!request.consistent()) return Status::invalid_argument;
    if (!has_kernels(request))
        return solve_runs(request, execution,
                          [&] { return std::make_unique<TilePipeline>(request); });
    const SolveRequest joined = with_joined_batch_axes(request);
    if (is_narrow(joined)) return solve_narrow(joined, execution);
    if (needs_copies(joined)) return solve_blocks(joined, execution);
    return solve_runs(joined, execution, [&] { return make_strip_pipeline(joined); });
}

}  // namespace tnm
