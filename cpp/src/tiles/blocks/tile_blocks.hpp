// Blocks of tiles: a batch of matrices cut into pieces of several rows of tiles.
#pragma once

#include "tnm/array_view.hpp"

namespace tnm {

inline std::int64_t divide_up(std::int64_t a, std::int64_t b) {
    return (a + b - 1) / b;
}

// Matrices of the last batch axis, rows and columns of tiles.
struct TileBlock {
    std::int64_t plane = 0, planes = 1;
    std::int64_t tile_row = 0, tile_column = 0;
    std::int64_t tile_rows = 0, tile_columns = 0;
};

// A batch of matrices cut into blocks; those below one another come first.
class TileBlocks {
  public:
    // Of `tiles`, which may be part of the grid, with `planes` times `tile_rows` times
    // `tile_columns` or fewer in each. The leftmost may be narrower by `missing` columns of tiles.
    struct Size {
        std::int64_t planes, tile_rows, tile_columns, missing = 0;
    };
    TileBlocks(const Strides& batch, std::int64_t tile_rows, std::int64_t tile_columns,
               const Size& size);

    std::int64_t count() const { return batches_ * deep_ * across_ * down_; }
    TileBlock operator[](std::int64_t index) const;

  private:
    const std::int64_t tile_rows_, tile_columns_, in_axis_, batches_;
    const Size size_;
    const std::int64_t down_, across_, deep_;
};

}  // namespace tnm
