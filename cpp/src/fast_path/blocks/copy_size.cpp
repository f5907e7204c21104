#include "fast_path/blocks/copy_size.hpp"

#include <algorithm>
#include <cstdlib>
#include <limits>

#include "fast_path/strip.hpp"
#include "tiles/blocks/tile_blocks.hpp"
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
        // Closed forms are so quick that many strips in a row matter more.
        tile_rows =
            std::min(std::max(kLeastRows, m == 4 ? 0 : kColumnBytes / item) / m, grid.tile_rows());
    const std::int64_t strips =
        divide_up(kCopyEntries, planes * tile_rows * m * m * tiles_per_strip);
    tile_columns = std::min(strips * tiles_per_strip, grid.tile_columns());
}

}  // namespace tnm
