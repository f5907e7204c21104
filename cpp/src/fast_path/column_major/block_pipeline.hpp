// Taking a block of tiles from top to bottom, copying part by part, where columns are contiguous.
#pragma once

#include "fast_path/column_major/column_block_copy.hpp"
#include "fast_path/pipelines/strip_pipeline.hpp"

namespace tnm {

// A rectangle of tiles.
struct TileBlock {
    std::int64_t plane = 0;
    std::int64_t tile_row = 0, tile_column = 0;
    std::int64_t tile_rows = 0, tile_columns = 0;
};

// The most that is copied at once, in tiles.
struct CopySize {
    CopySize(const TileGrid& grid, std::int64_t item_bytes);

    std::int64_t tile_rows, tile_columns;
};

// Owns the scratch memory of one thread.
class BlockPipeline {
  public:
    explicit BlockPipeline(const SolveRequest& request);

    // Blocks are at most as wide as CopySize says.
    Status operator()(const TileBlock& block);

  private:
    ColumnBlockCopy make_copy() const;
    ColumnBlock elements_of(const TileBlock& tiles) const;
    Status solve(const TileBlock& tiles);

    const ArrayView& array_;
    const std::int64_t item_bytes_;
    const TileGrid grid_;
    const CopySize size_;
    const std::int64_t tiles_per_strip_;
    const bool sweeps_;  // that leave time to ask for memory in between
    std::unique_ptr<StripPipeline> strips_;
    ColumnBlockCopy copy_, next_copy_;
};

}  // namespace tnm
