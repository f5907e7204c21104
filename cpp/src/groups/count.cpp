#include "tnm/count.hpp"

#include <algorithm>
#include <bit>

#include "parallel/guarded.hpp"
#include "tiles/mask_words.hpp"
#include "tiles/walk_tiles.hpp"

namespace tnm {
namespace {

// The flags of a run of tiles and the counts of its rows, those of a tile `row_counts_stride`
// apart, and of its columns.
struct CountedRun {
    const std::uint8_t* flags;
    std::int64_t row_stride, column_stride;
    int m, rows;
    std::int64_t columns;
    std::uint8_t* row_counts;
    std::int64_t row_counts_stride;
    std::uint8_t* column_counts;
};

void count_columns(const CountedRun& run) {
    std::fill(run.column_counts, run.column_counts + run.columns, std::uint8_t{0});
    for (int i = 0; i < run.rows; ++i) {
        const std::uint8_t* flags = run.flags + i * run.row_stride;
        const auto add = [&](std::int64_t stride) {
            for (std::int64_t j = 0; j < run.columns; ++j)
                run.column_counts[j] =
                    static_cast<std::uint8_t>(run.column_counts[j] + (flags[j * stride] != 0));
        };
        // A constant step lets the compiler use vectors.
        run.column_stride == 1 ? add(1) : add(run.column_stride);
    }
}

// Whole groups of a row at a time, as many as a word of bits holds.
void count_rows(const CountedRun& run) {
    const int groups_at_once = std::max(1, 64 / run.m), step = groups_at_once * run.m;
    const int width = std::min(run.m, 64);
    const std::uint64_t all = ~std::uint64_t{0} >> (64 - width);
    for (int i = 0; i < run.rows; ++i) {
        std::uint8_t* counts = run.row_counts + i * run.row_counts_stride;
        for (std::int64_t first = 0; first < run.columns; first += step) {
            const std::int64_t left = std::min<std::int64_t>(step, run.columns - first);
            const auto columns = static_cast<int>(left);
            int kept = 0;
            std::uint64_t word = 0;
            for (int j = 0; j < columns; j += 64) {
                read_mask_words(run.flags + i * run.row_stride + (first + j) * run.column_stride, 0,
                                run.column_stride, 1, std::min(64, columns - j), &word);
                kept += std::popcount(word);
            }
            if (run.m > 64) {
                *counts++ = static_cast<std::uint8_t>(kept);
                continue;
            }
            for (int j = 0; j < columns; j += run.m)
                *counts++ = static_cast<std::uint8_t>(std::popcount(word >> j & all));
        }
    }
}

}  // namespace

Status count_kept(const ConstMaskView& mask, int m, std::uint8_t* row_counts,
                  std::uint8_t* column_counts, const Execution& execution) {
    if (m < 1 || m > kMaxM || mask.strides.rank < 2) return Status::invalid_argument;
    const Strides& strides = mask.strides;
    const TileGrid grid{strides.rows(), strides.columns(), m};
    const std::int64_t tile_rows = grid.tile_rows(), tile_columns = grid.tile_columns();

    const auto count_run = [&](const TileRun& tiles) {
        const std::int64_t row = tiles.tile_row * m, column = tiles.first_tile_column * m;
        const CountedRun run{
            mask.data + strides.offset(tiles.plane, row, column),
            strides.row_stride(),
            strides.column_stride(),
            m,
            grid.height(tiles.tile_row),
            std::min(tiles.tile_columns * m, grid.columns - column),
            row_counts + (tiles.plane * grid.rows + row) * tile_columns + tiles.first_tile_column,
            tile_columns,
            column_counts + (tiles.plane * tile_rows + tiles.tile_row) * grid.columns + column};
        count_columns(run);
        count_rows(run);
        return Status::ok;
    };
    return guarded([&] {
        return walk_tiles(grid, strides.planes(), execution, [&] { return RunWorker(count_run); });
    });
}

}  // namespace tnm
