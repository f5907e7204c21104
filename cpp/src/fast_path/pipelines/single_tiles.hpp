// Single tiles of a loaded strip: those that the kernels leave to the general solver, and those
// that somebody wants to see.
#pragma once

#include <vector>

#include "fast_path/pipelines/strip_place.hpp"
#include "fast_path/strip.hpp"
#include "tiles/solve_request.hpp"

namespace tnm {

template <class T>
class SingleTiles {
  public:
    explicit SingleTiles(const SolveRequest& request);

    // Puts the general solver's mask and prices in the place of what is there.
    void solve(const StripScores<T>& scores, int tile, StripSolution& solution);
    // So for those of the first `tiles` for whose scores double is too coarse or too short at the
    // kernels' scale.
    void solve_extreme(const StripScores<T>& scores, int tiles, StripSolution& solution);

    bool is_observed() const { return static_cast<bool>(observer_); }
    void observe(const StripPlace& place, const StripScores<T>& scores,
                 const StripSolution& solution);

  private:
    ScoreTile scores_of(const StripScores<T>& scores, int tile);
    bool is_extreme(const StripScores<T>& scores, int tile, const StripSolution& solution) const;

    const TileObserver& observer_;
    const Pattern pattern_;
    const TileGrid grid_;
    const int field_;  // lanes of a tile
    std::unique_ptr<TileSolver> solver_;
    std::vector<double> scores_;
    TileMask mask_;
    TilePrices prices_;
};

}  // namespace tnm
