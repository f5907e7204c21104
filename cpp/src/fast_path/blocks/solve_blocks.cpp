#include "fast_path/blocks/solve_blocks.hpp"

#include <algorithm>

#include "fast_path/blocks/block_pipeline.hpp"
#include "fast_path/blocks/two_of_four_blocks.hpp"
#include "parallel/parallel_for.hpp"
#include "tiles/element.hpp"

namespace tnm {
namespace {

// The first copy of a block is waited for.
constexpr std::int64_t kCopiesPerBlock = 8;

// Hands blocks to pipelines, one per thread.
template <class Pipeline>
Status take_blocks(const SolveRequest& request, const TileBlocks::Size& size,
                   const Execution& execution) {
    const TileGrid grid = request.grid();
    const TileBlocks blocks(request.array.strides, grid.tile_rows(), grid.tile_columns(), size);
    return parallel_for(blocks.count(), execution, [&]() -> Worker {
        return [&, pipeline = std::make_shared<Pipeline>(request)](std::int64_t piece) {
            return (*pipeline)(blocks[piece]);
        };
    });
}

}  // namespace

bool needs_copies(const SolveRequest& request) {
    return request.array.strides.column_stride() != item_bytes(request.array.dtype) ||
           request.mask.strides.column_stride() != 1;
}

Status solve_blocks(const SolveRequest& request, const Execution& execution) {
    if (request.array.strides.planes() * request.grid().tiles() == 0) return Status::ok;
    if (has_two_of_four_blocks(request))
        return take_blocks<TwoOfFourBlocks>(
            request,
            {1, TwoOfFourBlocks::kTileRows, TwoOfFourBlocks::kTileColumns,
             TwoOfFourBlocks::tile_columns_past_line(request.mask)},
            execution);
    const CopySize copy(request);
    return take_blocks<BlockPipeline>(
        request, {copy.planes, kCopiesPerBlock * copy.tile_rows, copy.tile_columns}, execution);
}

}  // namespace tnm
