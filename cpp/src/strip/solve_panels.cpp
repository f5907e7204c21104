#include "strip/solve_panels.hpp"

#include <algorithm>

#include "parallel/parallel_for.hpp"
#include "strip/down_pipeline.hpp"
#include "strip/panel_pipeline.hpp"
#include "tiles/element.hpp"

namespace tnm {
namespace {

// The first panel of a block is waited for.
constexpr std::int64_t kPanelsPerBlock = 8;

using BlockWorker = std::function<Status(const TileBlock& block)>;

// Calls workers with blocks of at most so many tiles, those below one another first.
Status walk_blocks(const TileGrid& grid, std::int64_t planes, std::int64_t tile_rows,
                   std::int64_t tile_columns, const Execution& execution,
                   const std::function<BlockWorker()>& make_worker) {
    const std::int64_t down = (grid.tile_rows() + tile_rows - 1) / tile_rows;
    const std::int64_t across = (grid.tile_columns() + tile_columns - 1) / tile_columns;
    return parallel_for(planes * across * down, execution, [&]() -> Worker {
        return [&, worker = make_worker()](std::int64_t piece) {
            TileBlock block;
            block.tile_row = piece % down * tile_rows;
            block.tile_column = piece / down % across * tile_columns;
            block.plane = piece / down / across;
            block.tile_rows = std::min(tile_rows, grid.tile_rows() - block.tile_row);
            block.tile_columns = std::min(tile_columns, grid.tile_columns() - block.tile_column);
            return worker(block);
        };
    });
}

template <class Pipeline, class... Arguments>
BlockWorker make_worker(const Arguments&... arguments) {
    auto pipeline = std::make_shared<Pipeline>(arguments...);
    return [pipeline](const TileBlock& block) { return (*pipeline)(block); };
}

}  // namespace

bool has_contiguous_columns(const ArrayView& array) {
    const std::int64_t item = item_bytes(array.dtype);
    return array.layout.row_stride() == item && array.layout.column_stride() != item;
}

Status solve_panels(StripMethod method, const ArrayView& array, const MaskView& mask,
                    const Pattern& pattern, Score score, const TileObserver& observer,
                    const Execution& execution) {
    const TileGrid grid{array.layout.rows(), array.layout.columns(), pattern.m};
    const std::int64_t planes = array.layout.planes();
    if (planes * grid.tiles() == 0) return Status::ok;
    if (has_down_kernel(method, array, mask, pattern, score, observer))
        return walk_blocks(
            grid, planes, DownPipeline::kTileRows, DownPipeline::kTileColumns, execution,
            [&] { return make_worker<DownPipeline>(array, mask, pattern, score, observer); });
    const PanelSize panel(grid, item_bytes(array.dtype));
    return walk_blocks(grid, planes, kPanelsPerBlock * panel.tile_rows, panel.tile_columns,
                       execution, [&] {
                           return fits_float(array.dtype, score)
                                      ? make_worker<PanelPipeline<float>>(method, array, mask,
                                                                          pattern, score, observer)
                                      : make_worker<PanelPipeline<double>>(
                                            method, array, mask, pattern, score, observer);
                       });
}

}  // namespace tnm
