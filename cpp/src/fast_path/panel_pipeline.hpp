// Taking a block of tiles from top to bottom, panel by panel, where columns are contiguous.
#pragma once

#include "fast_path/panel.hpp"
#include "fast_path/pipelines/strip_pipeline.hpp"

namespace tnm {

// A rectangle of tiles.
struct TileBlock {
    std::int64_t plane = 0;
    std::int64_t tile_row = 0, tile_column = 0;
    std::int64_t tile_rows = 0, tile_columns = 0;
};

// The largest panel, in tiles.
struct PanelSize {
    PanelSize(const TileGrid& grid, std::int64_t item_bytes);

    std::int64_t tile_rows, tile_columns;
};

// Owns the scratch memory of one thread.
class PanelPipeline {
  public:
    explicit PanelPipeline(const SolveRequest& request);

    // Blocks are at most as wide as a panel.
    Status operator()(const TileBlock& block);

  private:
    Panel make_panel() const;
    ColumnBlock elements_of(const TileBlock& tiles) const;
    Status solve(const TileBlock& tiles);

    const ArrayView& array_;
    const std::int64_t item_bytes_;
    const TileGrid grid_;
    const PanelSize size_;
    const std::int64_t tiles_per_strip_;
    const bool sweeps_;  // that leave time to ask for memory in between
    std::unique_ptr<StripPipeline> strips_;
    Panel panel_, next_panel_;
};

}  // namespace tnm
