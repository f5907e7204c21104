#include "tiles/solve_tiles.hpp"

#include "tiles/tile_pipeline.hpp"

namespace tnm {
namespace {

bool same_shape(const Layout& a, const Layout& b) {
    if (a.rank != b.rank) return false;
    for (int axis = 0; axis < a.rank; ++axis)
        if (a.shape[axis] != b.shape[axis]) return false;
    return true;
}

}  // namespace

bool fits(const ArrayView& array, const MaskView& mask, const Pattern& pattern) {
    return pattern.valid() && array.layout.rank >= 2 && same_shape(array.layout, mask.layout);
}

Status solve_tiles(const ArrayView& array, const MaskView& mask, const Pattern& pattern,
                   Score score, const std::function<std::unique_ptr<TileSolver>()>& make_solver,
                   const TileObserver& observer, const Execution& execution) {
    if (!fits(array, mask, pattern)) return Status::invalid_argument;
    const TileGrid grid{array.layout.rows(), array.layout.columns(), pattern.m};
    return walk_tiles(grid, array.layout.planes(), execution, [&]() -> RunWorker {
        auto pipeline = std::make_shared<TilePipeline>(array.dtype, mask, pattern, score,
                                                       make_solver(), observer);
        return [pipeline, &array, &pattern](const TileRun& run) {
            return (*pipeline)(run, elements_of(array, pattern.m, run));
        };
    });
}

}  // namespace tnm
