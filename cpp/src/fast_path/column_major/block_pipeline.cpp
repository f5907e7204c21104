#include "fast_path/column_major/block_pipeline.hpp"

#include <algorithm>
#include <utility>

#include "tiles/element.hpp"

namespace tnm {
namespace {

// Of every column several cache lines in a row. With as many rows as a strip has columns, or more,
// a strip leaves time to ask for its share of the next copy.
constexpr std::int64_t kColumnBytes = 256, kLeastRows = kStripColumns;
// What the second-level cache holds beside the next copy.
constexpr std::int64_t kCopyEntries = 16384;

std::int64_t divide_up(std::int64_t a, std::int64_t b) {
    return (a + b - 1) / b;
}

}  // namespace

CopySize::CopySize(const TileGrid& grid, std::int64_t item_bytes) {
    const std::int64_t m = grid.m, tiles_per_strip = kStripColumns / field_width(grid.m);
    const std::int64_t rows = std::max(kLeastRows, kColumnBytes / item_bytes) / m;
    const std::int64_t strips = divide_up(kCopyEntries, rows * m * m * tiles_per_strip);
    tile_rows = std::min(rows, grid.tile_rows());
    tile_columns = std::min(strips * tiles_per_strip, grid.tile_columns());
}

BlockPipeline::BlockPipeline(const SolveRequest& request)
    : array_(request.array),
      item_bytes_(item_bytes(array_.dtype)),
      grid_(request.grid()),
      size_(grid_, item_bytes_),
      tiles_per_strip_(kStripColumns / field_width(grid_.m)),
      sweeps_(grid_.m > 4),
      strips_(make_strip_pipeline(request, item_bytes_)),
      copy_(make_copy()),
      next_copy_(make_copy()) {}

ColumnBlockCopy BlockPipeline::make_copy() const {
    return {static_cast<int>(item_bytes_), static_cast<int>(size_.tile_rows * grid_.m),
            static_cast<int>(size_.tile_columns * grid_.m)};
}

Status BlockPipeline::operator()(const TileBlock& block) {
    const std::int64_t end = block.tile_row + block.tile_rows;
    TileBlock tiles = block, next = block;
    tiles.tile_rows = std::min(size_.tile_rows, block.tile_rows);
    copy_.start(elements_of(tiles));
    copy_.copy_rest();
    for (;;) {
        next.tile_row = tiles.tile_row + tiles.tile_rows;
        next.tile_rows = std::min(size_.tile_rows, end - next.tile_row);
        next_copy_.start(elements_of(next));
        const Status status = solve(tiles);
        if (status != Status::ok || next.tile_rows == 0) return status;
        next_copy_.copy_rest();
        std::swap(copy_, next_copy_);
        tiles = next;
    }
}

ColumnBlock BlockPipeline::elements_of(const TileBlock& tiles) const {
    const Strides& strides = array_.strides;
    const std::int64_t row = tiles.tile_row * grid_.m, column = tiles.tile_column * grid_.m;
    const std::int64_t rows = std::min(tiles.tile_rows * grid_.m, grid_.rows - row);
    const std::int64_t columns = std::min(tiles.tile_columns * grid_.m, grid_.columns - column);
    if (rows <= 0) return {};
    return {array_.data + strides.offset(tiles.plane, row, column), strides.column_stride(),
            static_cast<int>(rows), static_cast<int>(columns)};
}

// Masks for `copy_`, while `next_copy_` is being copied, some columns after each run.
Status BlockPipeline::solve(const TileBlock& tiles) {
    // What to ask for is known for one strip at a time; a row of tiles is quicker where nobody
    // asks.
    const std::int64_t run_columns = sweeps_ ? tiles_per_strip_ : tiles.tile_columns;
    const std::int64_t runs = tiles.tile_rows * divide_up(tiles.tile_columns, run_columns);
    const auto portion = static_cast<int>(divide_up(tiles.tile_columns * grid_.m, runs));
    for (std::int64_t i = 0; i < tiles.tile_rows; ++i)
        for (std::int64_t j = 0; j < tiles.tile_columns; j += run_columns) {
            const TileRun run{tiles.plane, tiles.tile_row + i, tiles.tile_column + j,
                              std::min(run_columns, tiles.tile_columns - j)};
            const ElementsInMemory elements{
                copy_.row(static_cast<int>(i) * grid_.m) + j * grid_.m * item_bytes_,
                copy_.row_stride(), item_bytes_};
            const RowsInMemory next_rows = next_copy_.prefetch_next(portion);
            if (!sweeps_) Prefetcher(next_rows, {}).prefetch(next_rows.rows);
            const Status status = (*strips_)(run, elements, &next_rows);
            if (status != Status::ok) return status;
            next_copy_.copy_prefetched();
        }
    return Status::ok;
}

}  // namespace tnm
