#include "tiles/blocks/tile_blocks.hpp"

#include <algorithm>

namespace tnm {

TileBlocks::TileBlocks(const Strides& batch, std::int64_t tile_rows, std::int64_t tile_columns,
                       const Size& size)
    : tile_rows_(tile_rows),
      tile_columns_(tile_columns),
      in_axis_(batch.last_batch_count()),
      batches_(in_axis_ == 0 ? 0 : batch.planes() / in_axis_),
      size_(size),
      down_(divide_up(tile_rows, size.tile_rows)),
      across_(divide_up(tile_columns + size.missing, size.tile_columns)),
      deep_(divide_up(in_axis_, size.planes)) {}

TileBlock TileBlocks::operator[](std::int64_t index) const {
    TileBlock block;
    block.tile_row = index % down_ * size_.tile_rows;
    block.tile_rows = std::min(size_.tile_rows, tile_rows_ - block.tile_row);
    const std::int64_t first = index / down_ % across_ * size_.tile_columns - size_.missing;
    block.tile_column = std::max<std::int64_t>(first, 0);
    block.tile_columns = std::min(first + size_.tile_columns, tile_columns_) - block.tile_column;
    const std::int64_t layer = index / down_ / across_, plane = layer % deep_ * size_.planes;
    block.plane = layer / deep_ * in_axis_ + plane;
    block.planes = std::min(size_.planes, in_axis_ - plane);
    return block;
}

}  // namespace tnm
