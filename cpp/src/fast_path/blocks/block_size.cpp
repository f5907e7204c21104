#include "fast_path/blocks/block_size.hpp"

#include <algorithm>
#include <cstdlib>
#include <limits>

#include "fast_path/strip.hpp"
#include "tiles/element.hpp"

namespace tnm {
namespace {

// Of every column several cache lines in a row. With as many rows as a strip has columns, or more,
// a strip leaves time to ask for its share of the next copy.
constexpr std::int64_t kColumnBytes = 256, kLeastRows = kStripColumns;
// Of every place in a matrix a cache line of flags; fewer matrices where tiles are large.
constexpr std::int64_t kMostPlanes = 64, kLeastPlanes = 16, kRowsOfAllPlanes = 1024;
// What the second-level cache holds beside the next copy.
constexpr std::int64_t kCopyEntries = 16384;

std::int64_t divide_up(std::int64_t a, std::int64_t b) {
    return (a + b - 1) / b;
}

// The axis along which elements lie closest.
enum class Innermost { columns, rows, planes };

Innermost innermost_of(const Strides& strides) {
    const auto distance = [](std::int64_t count, std::int64_t stride) {
        return count == 1 || stride == 0 ? std::numeric_limits<std::int64_t>::max()
                                         : std::abs(stride);
    };
    const std::int64_t columns = distance(strides.columns(), strides.column_stride());
    const std::int64_t rows = distance(strides.rows(), strides.row_stride());
    const std::int64_t planes = distance(strides.last_batch_count(), strides.last_batch_stride());
    if (planes < std::min(rows, columns)) return Innermost::planes;
    return rows < columns ? Innermost::rows : Innermost::columns;
}

}  // namespace

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

CopySize::CopySize(const SolveRequest& request) {
    const TileGrid grid = request.grid();
    const std::int64_t m = grid.m, tiles_per_strip = kStripColumns / field_width(grid.m);
    const std::int64_t item = item_bytes(request.array.dtype);
    const Innermost read = innermost_of(request.array.strides);
    const Innermost written = innermost_of(request.mask.strides);
    planes = tile_rows = 1;
    if (read == Innermost::planes || written == Innermost::planes)
        planes = std::min(request.array.strides.last_batch_count(),
                          std::clamp(kRowsOfAllPlanes / m, kLeastPlanes, kMostPlanes));
    if (read == Innermost::rows || written == Innermost::rows)
        tile_rows = std::min(std::max(kLeastRows, kColumnBytes / item) / m, grid.tile_rows());
    const std::int64_t strips =
        divide_up(kCopyEntries, planes * tile_rows * m * m * tiles_per_strip);
    tile_columns = std::min(strips * tiles_per_strip, grid.tile_columns());
}

}  // namespace tnm
