#include "tnm/count.hpp"

#include <algorithm>

#include "parallel/guarded.hpp"
#include "tiles/walk_tiles.hpp"

namespace tnm {
namespace {

struct CountedTile {
    const std::uint8_t* flags;
    std::int64_t row_stride, column_stride;
    int rows, columns;
    std::uint8_t* row_counts;
    std::int64_t row_counts_stride;
    std::uint8_t* column_counts;
};

void count_tile(const CountedTile& tile) {
    std::fill(tile.column_counts, tile.column_counts + tile.columns, std::uint8_t{0});
    for (int i = 0; i < tile.rows; ++i) {
        const std::uint8_t* flags = tile.flags + i * tile.row_stride;
        unsigned kept = 0;
        for (int j = 0; j < tile.columns; ++j) {
            const unsigned flag = flags[j * tile.column_stride] != 0;
            kept += flag;
            tile.column_counts[j] = static_cast<std::uint8_t>(tile.column_counts[j] + flag);
        }
        tile.row_counts[i * tile.row_counts_stride] = static_cast<std::uint8_t>(kept);
    }
}

}  // namespace

Status count_kept(const ConstMaskView& mask, int m, std::uint8_t* row_counts,
                  std::uint8_t* column_counts, const Execution& execution) {
    if (m < 1 || m > kMaxM || mask.strides.rank < 2) return Status::invalid_argument;
    const Strides& strides = mask.strides;
    const TileGrid grid{strides.rows(), strides.columns(), m};
    const std::int64_t tile_rows = grid.tile_rows(), tile_columns = grid.tile_columns();

    const auto count_run = [&](const TileRun& run) {
        const std::int64_t row = run.tile_row * m;
        const std::uint8_t* flags = mask.data + strides.offset(run.plane, row, 0);
        for (std::int64_t t = 0; t < run.tile_columns; ++t) {
            const std::int64_t tile_column = run.first_tile_column + t, column = tile_column * m;
            count_tile(
                {flags + column * strides.column_stride(), strides.row_stride(),
                 strides.column_stride(), grid.height(run.tile_row), grid.width(tile_column),
                 row_counts + (run.plane * grid.rows + row) * tile_columns + tile_column,
                 tile_columns,
                 column_counts + (run.plane * tile_rows + run.tile_row) * grid.columns + column});
        }
        return Status::ok;
    };
    return guarded([&] {
        return walk_tiles(grid, strides.planes(), execution, [&] { return RunWorker(count_run); });
    });
}

}  // namespace tnm
