// The two fast methods of the literature, for comparison and for teaching.
//
// Both order the entries of a tile by score, highest first, equal scores by row-major position.
#pragma once

#include <vector>

#include "solvers/exact/optimal_solver.hpp"
#include "tiles/tile.hpp"

namespace tnm {

class ApproximateSolver : public TileSolver {
  public:
    explicit ApproximateSolver(bool complete) : complete_(complete) {}

  protected:
    const bool complete_;
    std::vector<int> order_;
    OptimalSolver optimal_;
};

// Hubara et al. 2021: prunes from the lightest entry upwards while its row or column still has too
// few pruned ones. That prunes exactly the m - n lightest of every row and column, so what is kept
// is "among the top n of its row AND of its column". Prunes at most twice the optimal score.
class TwoApproximationSolver final : public ApproximateSolver {
  public:
    using ApproximateSolver::ApproximateSolver;
    void solve(const ScoreTile& scores, TileMask& mask, TilePrices* prices) override;
};

// Keeps from the heaviest entry downwards while row and column have room. Keeps at least half of
// the optimal score.
class GreedySolver final : public ApproximateSolver {
  public:
    using ApproximateSolver::ApproximateSolver;
    void solve(const ScoreTile& scores, TileMask& mask, TilePrices* prices) override;
};

}  // namespace tnm
