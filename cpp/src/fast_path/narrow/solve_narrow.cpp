#include "fast_path/narrow/solve_narrow.hpp"

#include <algorithm>
#include <optional>

#include "fast_path/narrow/gathered_tiles.hpp"
#include "fast_path/strip.hpp"
#include "parallel/parallel_for.hpp"
#include "tiles/tile_pipeline.hpp"

namespace tnm {
namespace {

// What the first-level cache holds.
std::int64_t tiles_at_once(int m) {
    return std::max<std::int64_t>(kStripColumns / field_width(m), 4096 / (m * m));
}

// Several matrices, or rows of tiles of one.
TileBlocks::Size block_size(const SolveRequest& request) {
    const TileGrid grid = request.grid();
    const std::int64_t across = grid.columns / grid.m, down = grid.rows / grid.m;
    const std::int64_t most = std::max<std::int64_t>(1, tiles_at_once(grid.m) / across);
    return {std::clamp<std::int64_t>(most / down, 1, request.array.strides.last_batch_count()),
            std::min(most, down), across};
}

// Edge tiles: those at the right of every row of tiles, and all of a last row that is not full.
class EdgeTiles {
  public:
    explicit EdgeTiles(const SolveRequest& request) : request_(request), grid_(request.grid()) {}

    static std::int64_t rows_with_edges(const TileGrid& grid) {
        if (grid.columns % grid.m != 0) return grid.tile_rows();
        return grid.rows % grid.m != 0 ? 1 : 0;
    }

    // Those of one row of tiles; the last row comes first.
    Status operator()(std::int64_t plane, std::int64_t row) {
        const std::int64_t tile_row = grid_.tile_rows() - 1 - row;
        const std::int64_t first = grid_.height(tile_row) == grid_.m ? grid_.columns / grid_.m : 0;
        const TileRun run{plane, tile_row, first, grid_.tile_columns() - first};
        if (run.tile_columns == 0) return Status::ok;
        if (!pipeline_) pipeline_.emplace(request_);
        return (*pipeline_)(run, elements_of(request_.array, grid_.m, run),
                            flags_of(request_.mask, grid_.m, run));
    }

  private:
    const SolveRequest& request_;
    const TileGrid grid_;
    // Made when first needed: small calls have no time for it.
    std::optional<TilePipeline> pipeline_;
};

}  // namespace

bool is_narrow(const SolveRequest& request) {
    const TileGrid grid = request.grid();
    const std::int64_t across = grid.columns / grid.m, down = grid.rows / grid.m;
    return across > 0 && across < kStripColumns / field_width(grid.m) &&
           request.array.strides.planes() * down > 1;
}

Status solve_narrow(const SolveRequest& request, const Execution& execution) {
    const TileGrid grid = request.grid();
    const std::int64_t planes = request.array.strides.planes();
    const TileBlocks::Size size = block_size(request);
    const TileBlocks blocks(request.array.strides, grid.rows / grid.m, grid.columns / grid.m, size);
    const std::int64_t edges = EdgeTiles::rows_with_edges(grid);
    return parallel_for(blocks.count() + planes * edges, execution, [&]() -> Worker {
        return [&,
                tiles = std::make_shared<GatheredTiles>(
                    request, size.planes * size.tile_rows * size.tile_columns),
                edge_tiles = std::make_shared<EdgeTiles>(request)](std::int64_t piece) {
            if (piece < blocks.count()) return (*tiles)(blocks[piece]);
            piece -= blocks.count();
            return (*edge_tiles)(piece / edges, piece % edges);
        };
    });
}

}  // namespace tnm
