#include "tiles/walk_tiles.hpp"

#include <algorithm>

#include "parallel/parallel_for.hpp"

namespace tnm {
namespace {

// Enough work in a run to make handing it out cheap, little enough to share the load evenly and to
// hear of an interruption soon.
constexpr std::int64_t kEntriesPerRun = 16384;

}  // namespace

ElementsInMemory elements_of(const ArrayView& array, int m, const TileRun& run) {
    const Strides& strides = array.strides;
    return {array.data + strides.offset(run.plane, run.tile_row * m, run.first_tile_column * m),
            strides.row_stride(), strides.column_stride()};
}

FlagsInMemory flags_of(const MaskView& mask, int m, const TileRun& run) {
    const Strides& strides = mask.strides;
    return {mask.data + strides.offset(run.plane, run.tile_row * m, run.first_tile_column * m),
            strides.row_stride(), strides.column_stride()};
}

Status walk_tiles(const TileGrid& grid, std::int64_t planes, const Execution& execution,
                  const std::function<RunWorker()>& make_worker) {
    const std::int64_t tile_rows = grid.tile_rows(), tile_columns = grid.tile_columns();
    if (planes == 0 || tile_rows == 0 || tile_columns == 0) return Status::ok;
    const std::int64_t run_length =
        std::min(tile_columns, std::max<std::int64_t>(1, kEntriesPerRun / (grid.m * grid.m)));
    const std::int64_t runs_per_row = (tile_columns + run_length - 1) / run_length;

    return parallel_for(planes * tile_rows * runs_per_row, execution, [&]() -> Worker {
        return [&, worker = make_worker()](std::int64_t piece) {
            TileRun run;
            run.first_tile_column = (piece % runs_per_row) * run_length;
            run.tile_columns = std::min(run_length, tile_columns - run.first_tile_column);
            run.tile_row = (piece / runs_per_row) % tile_rows;
            run.plane = piece / runs_per_row / tile_rows;
            return worker(run);
        };
    });
}

}  // namespace tnm
