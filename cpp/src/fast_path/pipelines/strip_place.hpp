// Where a strip lies in a matrix.
#pragma once

#include <algorithm>

#include "tiles/load_scores.hpp"
#include "tiles/walk_tiles.hpp"

namespace tnm {

// Neighbouring full tiles, at most a strip of them.
struct StripPlace {
    std::int64_t plane, tile_row, tile_column;
    int tiles;
    ElementsInMemory elements;
    FlagsInMemory flags;
};

inline std::uint64_t lowest_bits(int count) {
    return ~std::uint64_t{0} >> (64 - count);
}

// The tile column after the last full tile of a run.
inline std::int64_t end_of_full_tiles(const TileGrid& grid, const TileRun& run) {
    if (grid.height(run.tile_row) != grid.m) return run.first_tile_column;
    return std::min(run.first_tile_column + run.tile_columns, grid.columns / grid.m);
}

}  // namespace tnm
