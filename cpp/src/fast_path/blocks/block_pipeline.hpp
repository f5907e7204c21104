// Taking a block of tiles from top to bottom, copying part by part: elements where those of a row
// are not neighbours in memory, and flags where theirs are not.
#pragma once

#include "copies/block_copy.hpp"
#include "fast_path/blocks/copy_size.hpp"
#include "fast_path/pipelines/strip_pipeline.hpp"
#include "tiles/blocks/tile_blocks.hpp"

namespace tnm {

// Owns the scratch memory of one thread.
class BlockPipeline {
  public:
    explicit BlockPipeline(const SolveRequest& request);

    // Blocks have at most as many planes and columns of tiles as CopySize says.
    Status operator()(const TileBlock& block);

  private:
    BlockCopy make_copy(std::int64_t item_bytes, bool is_needed) const;
    ElementBox box_of(const TileBlock& tiles, const std::byte* data, const Strides& strides) const;
    // Those to copy, if there are any.
    ElementBox elements_of(const TileBlock& tiles) const;
    ElementBox flags_of(const TileBlock& tiles) const;
    FlagsInMemory copied_flags(std::int64_t plane, std::int64_t row) const;
    Status solve(const TileBlock& tiles);
    Status solve_row(const TileBlock& tiles, std::int64_t plane, std::int64_t row);

    const ArrayView& array_;
    const MaskView& mask_;
    const std::int64_t item_bytes_;
    const TileGrid grid_;
    const CopySize size_;
    const bool sweeps_;  // that leave time to ask for memory in between
    const bool copies_elements_, copies_flags_;
    const std::int64_t run_columns_;
    const std::unique_ptr<StripPipeline> strips_;
    BlockCopy copy_, next_copy_, flags_;
    // What is asked for with every run, of the flags' memory and the next columns.
    Prefetcher flag_prefetcher_;
    int flag_share_ = 0, column_share_ = 0;
};

}  // namespace tnm
