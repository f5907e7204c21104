#include "fast_path/solve.hpp"

#include <utility>

#include "fast_path/blocks/solve_blocks.hpp"
#include "fast_path/blocks/straight_blocks.hpp"
#include "fast_path/narrow/solve_narrow.hpp"
#include "fast_path/pipelines/run_pipeline.hpp"
#include "fast_path/pipelines/strip_pipeline.hpp"
#include "fast_path/strip.hpp"
#include "tiles/blocks/batch_axes.hpp"
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
    return walk_tiles(
        request.grid(), request.array.strides.planes(), execution, [&]() -> RunWorker {
            return [&, pipeline = std::shared_ptr(make_pipeline())](const TileRun& run) {
                const int m = request.pattern.m;
                return (*pipeline)(run, elements_of(request.array, m, run),
                                   flags_of(request.mask, m, run));
            };
        });
}

// Batch axes are joined, unless tiles are taken one by one.
struct ChosenRoad {
    Road road;
    SolveRequest request;
};

ChosenRoad choose_road(const SolveRequest& request) {
    if (!has_kernels(request)) return {Road::tile_by_tile, request};
    SolveRequest joined = with_joined_batch_axes(request);
    const Road road = is_narrow(joined)      ? Road::gathered
                      : needs_copies(joined) ? Road::copied
                                             : Road::in_place;
    return {road, std::move(joined)};
}

bool is_straight(const ChosenRoad& chosen) {
    if (chosen.road == Road::tile_by_tile) return false;
    if (chosen.road == Road::copied) return has_straight_blocks(chosen.request);
    return run_kernel(chosen.request) != nullptr;
}

}  // namespace

RoadReport road_of(const SolveRequest& request) {
    const ChosenRoad chosen = choose_road(request);
    return {chosen.road, is_straight(chosen),
            chosen.road != Road::tile_by_tile && fits_float(request.array.dtype, request.score)};
}

Status solve(const SolveRequest& request, const Execution& execution) {
    if (!request.consistent()) return Status::invalid_argument;
    const ChosenRoad chosen = choose_road(request);
    switch (chosen.road) {
        case Road::gathered:
            return solve_narrow(chosen.request, execution);
        case Road::copied:
            return solve_blocks(chosen.request, execution);
        case Road::in_place:
            return solve_runs(chosen.request, execution,
                              [&] { return make_strip_pipeline(chosen.request); });
        case Road::tile_by_tile:
            break;
    }
    return solve_runs(request, execution, [&] { return std::make_unique<TilePipeline>(request); });
}

}  // namespace tnm
