// 2:4 masks where columns are contiguous: 64 columns at a time, from top to bottom.
#pragma once

#include "fast_path/blocks/block_pipeline.hpp"

namespace tnm {

// Whether there is such a shortcut.
bool has_two_of_four_blocks(const SolveRequest& request);

// Owns the scratch memory of one thread.
class TwoOfFourBlocks {
  public:
    // The largest block, in tiles.
    static constexpr std::int64_t kTileRows = 512, kTileColumns = kStripColumns / 4;
    // How many columns of tiles would fill up the line that the first flags are in. Lines that two
    // blocks share would be read and written twice.
    static std::int64_t tile_columns_past_line(const MaskView& mask);

    // Only if has_two_of_four_blocks().
    explicit TwoOfFourBlocks(const SolveRequest& request);

    Status operator()(const TileBlock& block);

  private:
    // Returns in how many rows of tiles rounding might have decided, and marks them.
    std::int64_t run_kernel(const TileBlock& block);
    Status solve_marked(const TileBlock& block);

    const ArrayView& array_;
    const MaskView& mask_;
    const MaskColumnMajor kernel_;
    BlockPipeline blocks_;
    std::vector<std::int32_t> space_;
    std::vector<std::uint8_t> marks_;
};

}  // namespace tnm
