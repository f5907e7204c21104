#include "fast_path/column_major/solve_column_major.hpp"

#include <algorithm>

#include "fast_path/column_major/block_pipeline.hpp"
#include "fast_path/column_major/two_of_four_blocks.hpp"
#include "parallel/parallel_for.hpp"
#include "tiles/element.hpp"

namespace tnm {
namespace {

// The first copy of a block is waited for.
constexpr std::int64_t kCopiesPerBlock = 8;

using BlockWorker = std::function<Status(const TileBlock& block)>;

// At most so many tiles; the leftmost block has `first_columns`, unless that is 0.
struct BlockSize {
    std::int64_t tile_rows, tile_columns, first_columns;
};

// Calls workers with blocks, those below one another first.
Status walk_blocks(const TileGrid& grid, std::int64_t planes, const BlockSize& size,
                   const Execution& execution, const std::function<BlockWorker()>& make_worker) {
    const std::int64_t tile_rows = size.tile_rows, tile_columns = size.tile_columns;
    const std::int64_t missing = size.first_columns > 0 ? tile_columns - size.first_columns : 0;
    const std::int64_t down = (grid.tile_rows() + tile_rows - 1) / tile_rows;
    const std::int64_t across = (missing + grid.tile_columns() + tile_columns - 1) / tile_columns;
    return parallel_for(planes * across * down, execution, [&]() -> Worker {
        return [&, worker = make_worker()](std::int64_t piece) {
            TileBlock block;
            block.tile_row = piece % down * tile_rows;
            const std::int64_t first = piece / down % across * tile_columns - missing;
            const std::int64_t end = std::min(first + tile_columns, grid.tile_columns());
            block.tile_column = std::max<std::int64_t>(first, 0);
            block.tile_columns = end - block.tile_column;
            block.plane = piece / down / across;
            block.tile_rows = std::min(tile_rows, grid.tile_rows() - block.tile_row);
            return worker(block);
        };
    });
}

template <class Pipeline>
BlockWorker make_worker(const SolveRequest& request) {
    auto pipeline = std::make_shared<Pipeline>(request);
    return [pipeline](const TileBlock& block) { return (*pipeline)(block); };
}

}  // namespace

bool has_contiguous_columns(const ArrayView& array) {
    const std::int64_t item = item_bytes(array.dtype);
    return array.strides.row_stride() == item && array.strides.column_stride() != item;
}

Status solve_column_major(const SolveRequest& request, const Execution& execution) {
    const TileGrid grid = request.grid();
    const std::int64_t planes = request.array.strides.planes();
    if (planes * grid.tiles() == 0) return Status::ok;
    if (has_two_of_four_blocks(request))
        return walk_blocks(grid, planes,
                           {TwoOfFourBlocks::kTileRows, TwoOfFourBlocks::kTileColumns,
                            TwoOfFourBlocks::tile_columns_to_line(request.mask)},
                           execution, [&] { return make_worker<TwoOfFourBlocks>(request); });
    const CopySize copy(grid, item_bytes(request.array.dtype));
    return walk_blocks(grid, planes, {kCopiesPerBlock * copy.tile_rows, copy.tile_columns, 0},
                       execution, [&] { return make_worker<BlockPipeline>(request); });
}

}  // namespace tnm
