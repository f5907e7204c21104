#include "fast_path/solve.hpp"

#include "fast_path/column_major/solve_column_major.hpp"
#include "fast_path/narrow/solve_narrow.hpp"
#include "fast_path/pipelines/strip_pipeline.hpp"
#include "fast_path/strip.hpp"
#include "tiles/tile_pipeline.hpp"

namespace tnm {
namespace {

bool has_kernels(const SolveRequest& request) {
    return request.method == SolveMethod::exact && request.pattern.m <= kLargestStripM &&
           request.pattern.n < request.pattern.m;
}

// Takes all runs, wherever their elements lie, through pipelines, one per thread.
template <class Make>
Status solve_runs(const SolveRequest& request, const Execution& execution,
                  const Make& make_pipeline) {
    const ArrayView& array = request.array;
    return walk_tiles(request.grid(), array.strides.planes(), execution, [&]() -> RunWorker {
        return [&, pipeline = std::shared_ptr(make_pipeline())](const TileRun& run) {
            return (*pipeline)(run, elements_of(array, request.pattern.m, run));
        };
    });
}

}  // namespace

Status solve(const SolveRequest& request, const Execution& execution) {
    if (!request.consistent()) return Status::invalid_argument;
    if (!has_kernels(request))
        return solve_runs(request, execution,
                          [&] { return std::make_unique<TilePipeline>(request); });
    if (is_narrow(request)) return solve_narrow(request, execution);
    if (has_contiguous_columns(request.array)) return solve_column_major(request, execution);
    return solve_runs(request, execution, [&] {
        return make_strip_pipeline(request, request.array.strides.column_stride());
    });
}

}  // namespace tnm
