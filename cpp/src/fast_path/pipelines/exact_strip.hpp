// What the exact methods share: the solution of a loaded strip, and what goes tile by tile.
#pragma once

#include <vector>

#include "fast_path/pipelines/strip_place.hpp"
#include "fast_path/strip_kernels.hpp"
#include "tiles/solve_request.hpp"

namespace tnm {

template <class T>
class ExactStrip {
  public:
    // `may_be_extreme`: double may be too coarse or too short for scores at the kernels' scale.
    ExactStrip(const SolveRequest& request, bool may_be_extreme);

    // Finds prices and masks by the dual kernels, and by the general solver where they give up.
    void solve(const StripPlace& place, const StripScores<T>& scores, Prefetcher prefetcher);
    // Shows all tiles to the observer at once; bit t of the result is set if it is done with tile
    // t.
    std::uint64_t show(const StripPlace& place, const StripScores<T>& scores);
    // Solves extreme tiles anew, shows them, and others that are not `done`, to the observer, and
    // returns the mask, as in kept().
    std::uint64_t* finish(const StripPlace& place, const StripScores<T>& scores,
                          std::uint64_t done = 0);

    bool is_observed() const { return observer_ != nullptr; }
    // The rows of the mask, as in StripSolution.
    std::uint64_t* kept() { return solution_.kept; }
    StripSolution& solution() { return solution_; }

  private:
    ScoreTile scores_of(const StripScores<T>& scores, int tile);
    void solve_tile(const StripScores<T>& scores, int tile);
    bool is_extreme(const StripScores<T>& scores, int tile) const;
    void show_tile(const StripPlace& place, const StripScores<T>& scores, int tile);

    const SolveRequest& request_;
    TileObserver* const observer_;
    const Pattern pattern_;
    const TileGrid grid_;
    const int field_;  // lanes of a tile
    const SolveStrip<T> solve_;
    const bool may_be_extreme_;
    StripSolution solution_;
    // Made when first needed: small calls have no time for it.
    std::unique_ptr<TileSolver> general_;
    std::vector<double> scores_;
    TileMask mask_;
    TilePrices prices_;
};

}  // namespace tnm
