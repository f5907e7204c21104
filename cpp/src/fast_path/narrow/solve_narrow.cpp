#include "fast_path/narrow/solve_narrow.hpp"

#include <algorithm>

#include "fast_path/narrow/gathered_tiles.hpp"
#include "fast_path/strip.hpp"
#include "parallel/parallel_for.hpp"
#include "tiles/tile_pipeline.hpp"

namespace tnm {
namespace {

// As walk_tiles() gives to a worker; whole strips.
std::int64_t tiles_at_once(int m) {
    const std::int64_t strip = kStripColumns / field_width(m);
    return std::max<std::int64_t>(1, 16384 / (m * m) / strip) * strip;
}

// Edge tiles: those at the right of every row of tiles, and all of a last row that is not full.
class EdgeTiles {
  public:
    explicit EdgeTiles(const SolveRequest& request)
        : request_(request), grid_(request.grid()), pipeline_(request) {}

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
        return pipeline_(run, elements_of(request_.array, grid_.m, run));
    }

  private:
    const SolveRequest& request_;
    const TileGrid grid_;
    TilePipeline pipeline_;
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
    const TileSequence sequence(grid, planes);
    const std::int64_t group = std::min(tiles_at_once(grid.m), sequence.count());
    const std::int64_t groups = (sequence.count() + group - 1) / group;
    const std::int64_t edges = EdgeTiles::rows_with_edges(grid);
    return parallel_for(groups + planes * edges, execution, [&]() -> Worker {
        return [&, tiles = std::make_shared<GatheredTiles>(request, sequence, group),
                edge_tiles = std::make_shared<EdgeTiles>(request)](std::int64_t piece) {
            if (piece < groups)
                return (*tiles)(piece * group, std::min(group, sequence.count() - piece * group));
            return (*edge_tiles)((piece - groups) / edges, (piece - groups) % edges);
        };
    });
}

}  // namespace tnm
