// Proves every solved tile, and writes that where it belongs.
//
// Many tiles at once, kernels look for entries that contradict their prices. Nearly always there
// are none, and the bound is the score of the mask; what is left is summed up tile by tile.
#pragma once

#include "tiles/solve_request.hpp"
#include "tnm/transposable.hpp"

namespace tnm {

class CertificateWriter final : public TileObserver {
  public:
    explicit CertificateWriter(const CertificateView& certificate) : certificate_(certificate) {}

    void observe(std::int64_t index, const ScoreTile& scores, const TileMask& mask,
                 const TilePrices& prices) override;
    std::uint64_t observe(const TilesInLanes<float>& tiles) override { return prove(tiles); }
    std::uint64_t observe(const TilesInLanes<double>& tiles) override { return prove(tiles); }

  private:
    template <class T>
    std::uint64_t prove(const TilesInLanes<T>& tiles);

    const CertificateView& certificate_;
};

}  // namespace tnm
