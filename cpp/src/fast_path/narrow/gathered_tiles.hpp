// Tiles from here and there, copied side by side, so that strips are full.
#pragma once

#include <vector>

#include "copies/strided_copy.hpp"
#include "fast_path/pipelines/strip_pipeline.hpp"
#include "tiles/blocks/tile_blocks.hpp"

namespace tnm {

// Owns the scratch memory of one thread.
class GatheredTiles final : private TileObserver {
  public:
    // For up to so many tiles at once.
    GatheredTiles(const SolveRequest& request, std::int64_t tiles);

    // Takes full tiles.
    Status operator()(const TileBlock& block);

  private:
    SolveRequest request_for_copy();
    // To the observer of the request, with the indices that tiles have there.
    void observe(std::int64_t index, const ScoreTile& scores, const TileMask& mask,
                 const TilePrices& prices) override;
    std::uint64_t observe(const TilesInLanes<float>& tiles) override { return pass_on(tiles); }
    std::uint64_t observe(const TilesInLanes<double>& tiles) override { return pass_on(tiles); }
    template <class T>
    std::uint64_t pass_on(TilesInLanes<T> tiles) const;
    // The index of tile `number` of those at hand.
    std::int64_t index_of(std::int64_t number) const;

    std::int64_t offset(const Strides& strides, const TileBlock& block) const;
    CopyAxes axes(const TileBlock& block, const Strides& there, const Strides& here,
                  bool back) const;

    const SolveRequest& request_;
    const TileGrid grid_;
    const std::int64_t item_bytes_, columns_;
    TileBlock block_;  // at hand
    std::vector<std::byte> elements_;
    std::vector<std::uint8_t> mask_;
    const SolveRequest copy_;
    const std::unique_ptr<StripPipeline> strips_;
    const StridedCopy element_copy_, flag_copy_;
};

}  // namespace tnm
