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

// At most so many tiles; the leftmost block has `first_columns`, unless that is 0.
struct BlockSize {
    std::int64_t tile_rows, tile_columns, first_columns;
};

// Hands blocks to pipelines, one per thread; those below one another first.
template <class Pipeline>
Status solve_blocks(const SolveRequest& request, const BlockSize& size,
                    const Execution& execution) {
    const TileGrid grid = request.grid();
    const std::int64_t planes = request.array.strides.planes();
    if (planes * grid.tiles() == 0) return Status::ok;
    const std::int64_t tile_rows = size.tile_rows, tile_columns = size.tile_columns;
    const std::int64_t missing = size.first_columns > 0 ? tile_columns - size.first_columns : 0;
    const std::int64_t down = (grid.tile_rows() + tile_rows - 1) / tile_rows;
    const std::int64_t across = (missing + grid.tile_columns() + tile_columns - 1) / tile_columns;
    return parallel_for(planes * across * down, execution, [&]() -> Worker {
        return [&, pipeline = std::make_shared<Pipeline>(request)](std::int64_t piece) {
            TileBlock block;
            block.tile_row = piece % down * tile_rows;
            const std::int64_t first = piece / down % across * tile_columns - missing;
            const std::int64_t end = std::min(first + tile_columns, grid.tile_columns());
            block.tile_column = std::max<std::int64_t>(first, 0);
            block.tile_columns = end - block.tile_column;
            block.plane = piece / down / across;
            block.tile_rows = std::min(tile_rows, grid.tile_rows() - block.tile_row);
            return (*pipeline)(block);
        };
    });
}

}  // namespace

bool has_contiguous_columns(const ArrayView& array) {
    const std::int64_t item = item_bytes(array.dtype);
    return array.strides.row_stride() == item && array.strides.column_stride() != item;
}

Status solve_column_major(const SolveRequest& request, const Execution& execution) {
    if (has_two_of_four_blocks(request))
        return solve_blocks<TwoOfFourBlocks>(
            request,
            {TwoOfFourBlocks::kTileRows, TwoOfFourBlocks::kTileColumns,
             TwoOfFourBlocks::tile_columns_to_line(request.mask)},
            execution);
    const CopySize copy(request.grid(), item_bytes(request.array.dtype));
    return solve_blocks<BlockPipeline>(
        request, {kCopiesPerBlock * copy.tile_rows, copy.tile_columns, 0}, execution);
}

}  // namespace tnm
