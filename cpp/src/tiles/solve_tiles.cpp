#include "tiles/solve_tiles.hpp"

#include "tiles/tile_pipeline.hpp"

namespace tnm {

Status solve_tiles(const SolveRequest& request, const Execution& execution) {
    return walk_tiles(
        request.grid(), request.array.strides.planes(), execution, [&]() -> RunWorker {
            auto pipeline = std::make_shared<TilePipeline>(request);
            return [pipeline, &request](const TileRun& run) {
                return (*pipeline)(run, elements_of(request.array, request.pattern.m, run));
            };
        });
}

}  // namespace tnm
