// Walking over all tiles of a batch of matrices on several threads.
#pragma once

#include <cstdint>
#include <functional>

#include "tiles/load_scores.hpp"
#include "tiles/store_mask.hpp"
#include "tnm/array_view.hpp"
#include "tnm/execution.hpp"
#include "tnm/pattern.hpp"
#include "tnm/status.hpp"

namespace tnm {

// Neighbouring tiles of one row of tiles.
struct TileRun {
    std::int64_t plane = 0;
    std::int64_t tile_row = 0;
    std::int64_t first_tile_column = 0;
    std::int64_t tile_columns = 0;
};

// The number of a tile, in C order over (plane, tile row, tile column).
inline std::int64_t tile_index(const TileGrid& grid, std::int64_t plane, std::int64_t tile_row,
                               std::int64_t tile_column) {
    return (plane * grid.tile_rows() + tile_row) * grid.tile_columns() + tile_column;
}

// Where the elements of a run are in an array that is cut into tiles of m x m.
ElementsInMemory elements_of(const ArrayView& array, int m, const TileRun& run);

// Where its flags are in a mask of that shape.
FlagsInMemory flags_of(const MaskView& mask, int m, const TileRun& run);

using RunWorker = std::function<Status(const TileRun& run)>;

// Cuts the grid of every plane into runs and gives each to a worker; see parallel_for.
Status walk_tiles(const TileGrid& grid, std::int64_t planes, const Execution& execution,
                  const std::function<RunWorker()>& make_worker);

}  // namespace tnm
