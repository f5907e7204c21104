#include "fast_path/solve.hpp"

#include "fast_path/column_major/solve_column_major.hpp"
#include "fast_path/column_major/two_of_four_blocks.hpp"
#include "fast_path/narrow/solve_narrow.hpp"
#include "fast_path/pipelines/strip_pipeline.hpp"
#include "fast_path/pipelines/two_of_four_pipeline.hpp"
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
    const ArrayView& array = request.array;
    return walk_tiles(request.grid(), array.strides.planes(), execution, [&]() -> RunWorker {
        return [&, pipeline = std::shared_ptr(make_pipeline())](const TileRun& run) {
            return (*pipeline)(run, elements_of(array, request.pattern.m, run));
        };
    });
}

Road choose_road(const SolveRequest& request) {
    if (!has_kernels(request)) return Road::tile_by_tile;
    if (is_narrow(request)) return Road::gathered;
    return has_contiguous_columns(request.array) ? Road::copied : Road::in_place;
}

bool is_straight(const SolveRequest& request, Road road) {
    if (road == Road::tile_by_tile) return false;
    if (road == Road::copied) return has_two_of_four_blocks(request);
    return two_of_four_kernel(request, request.array.strides.column_stride()) != nullptr;
}

}  // namespace

RoadReport road_of(const SolveRequest& request) {
    const Road road = choose_road(request);
    return {road, is_straight(request, road),
            road != Road::tile_by_tile && fits_float(request.array.dtype, request.score)};
}

Status solve(const SolveRequest& request, const Execution& execution) {
    if (!request.consistent()) return Status::invalid_argument;
    switch (choose_road(request)) {
        case Road::gathered:
            return solve_narrow(request, execution);
        case Road::copied:
            return solve_column_major(request, execution);
        case Road::in_place:
            return solve_runs(request, execution, [&] {
                return make_strip_pipeline(request, request.array.strides.column_stride());
            });
        case Road::tile_by_tile:
            break;
    }
    return solve_runs(request, execution, [&] { return std::make_unique<TilePipeline>(request); });
}

}  // namespace tnm
