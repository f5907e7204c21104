// Edge tiles that are no higher, or no wider, than n: there the lines along one axis keep all they
// like, and each line along the other keeps its largest scores, whatever the rest does.
#pragma once

#include "solvers/exact/tile_kernels.hpp"
#include "tiles/tile.hpp"

namespace tnm {

// Whether a tile is one of these, with scores that double holds.
bool has_separate_lines(const ScoreTile& scores);

// Of equal scores the first in a line is kept.
class SeparateLines {
  public:
    // Only if has_separate_lines().
    void solve(const ScoreTile& scores, TileMask& mask, TilePrices* prices);

  private:
    void solve_rows(const ScoreTile& scores, TileMask& mask);
    void solve_columns(const ScoreTile& scores, TileMask& mask);

    alignas(64) double line_[kMaxM + TileWork::kPadding];
    std::array<double, kMaxM> line_prices_;
};

}  // namespace tnm
