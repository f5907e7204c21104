#include "fast_path/solve.hpp"

#include "fast_path/column_major/solve_column_major.hpp"
#include "fast_path/pipelines/strip_pipeline.hpp"
#include "fast_path/strip.hpp"
#include "tiles/solve_tiles.hpp"

namespace tnm {
namespace {

bool has_kernels(const SolveRequest& request) {
    return request.method != SolveMethod::approximate && request.pattern.m <= kLargestStripM &&
           request.pattern.n < request.pattern.m;
}

Status solve_strips(const SolveRequest& request, const Execution& execution) {
    const ArrayView& array = request.array;
    return walk_tiles(request.grid(), array.strides.planes(), execution, [&]() -> RunWorker {
        std::shared_ptr<StripPipeline> pipeline =
            make_strip_pipeline(request, array.strides.column_stride());
        return [pipeline, &request](const TileRun& run) {
            return (*pipeline)(run, elements_of(request.array, request.pattern.m, run), nullptr);
        };
    });
}

}  // namespace

Status solve(const SolveRequest& request, const Execution& execution) {
    if (!request.consistent()) return Status::invalid_argument;
    if (!has_kernels(request)) return solve_tiles(request, execution);
    if (has_contiguous_columns(request.array)) return solve_column_major(request, execution);
    return solve_strips(request, execution);
}

}  // namespace tnm
