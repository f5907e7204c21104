#include "fast_path/blocks/solve_blocks.hpp"

#include "fast_path/blocks/block_pipeline.hpp"
#include "fast_path/blocks/straight_blocks.hpp"
#include "parallel/parallel_for.hpp"
#include "tiles/element.hpp"

namespace tnm {
namespace {

// The first copy of a block is waited for.
constexpr std::int64_t kCopiesPerBlock = 8;

}  // namespace

bool needs_copies(const SolveRequest& request) {
    return request.array.strides.column_stride() != item_bytes(request.array.dtype) ||
           request.mask.strides.column_stride() != 1;
}

Status solve_blocks(const SolveRequest& request, const Execution& execution) {
    if (request.array.strides.planes() * request.grid().tiles() == 0) return Status::ok;
    if (has_straight_blocks(request)) return solve_straight_blocks(request, execution);
    const CopySize copy(request);
    const TileGrid grid = request.grid();
    const TileBlocks blocks(request.array.strides, grid.tile_rows(), grid.tile_columns(),
                            {copy.planes, kCopiesPerBlock * copy.tile_rows, copy.tile_columns});
    return parallel_for(blocks.count(), execution, [&]() -> Worker {
        return [&, pipeline = std::make_shared<BlockPipeline>(request)](std::int64_t piece) {
            return (*pipeline)(blocks[piece]);
        };
    });
}

}  // namespace tnm
