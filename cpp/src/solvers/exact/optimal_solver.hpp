// The optimal mask of a tile of any shape: warm start, threshold, shortest augmenting paths,
// and cycle canceling where the kept scores are tiny. Tiles whose scores double does not hold are
// solved for what it does hold, and from there in integers.
#pragma once

#include <memory>

#include "solvers/exact/cycle_canceling.hpp"
#include "solvers/exact/exact_cycles.hpp"
#include "solvers/exact/residual_network.hpp"
#include "solvers/exact/scaled_tile.hpp"
#include "solvers/exact/shortest_paths.hpp"
#include "solvers/exact/tile_kernels.hpp"

namespace tnm {

class OptimalSolver final : public TileSolver {
  public:
    void solve(const ScoreTile& scores, TileMask& mask, TilePrices* prices) override;

  private:
    void solve_values(const ScoreTile& scores, TileMask& mask, TilePrices* prices);
    void keep_everything(TileMask& mask, TilePrices* prices) const;
    void start_work();
    bool solve_quickly(TileMask& mask);
    void read_prices(TilePrices& prices) const;
    void start_network();
    double kept_magnitude(const TileMask& mask, double enough) const;

    ScaledTile tile_;
    ResidualNetwork network_;
    ShortestPaths paths_;
    CycleCanceling cycle_canceling_;
    ExactCycles exact_cycles_;
    const std::unique_ptr<TileWork> work_ = std::make_unique<TileWork>();
    TilePrices proposed_, prices_;
};

}  // namespace tnm
