// The proof that a tile's mask is optimal.
//
// Kept apart from the solvers: it looks at nothing but scores, mask and prices, in double, with
// compensated sums, so that a solver's mistake cannot hide in it.
#pragma once

#include "tiles/tile.hpp"

namespace tnm {

struct TileProof {
    double primal = 0.0;  // in units of 2^scores.exponent()
    double dual = 0.0;
    double gap = 0.0;  // (dual - primal) / sum of |score| over kept entries
};

TileProof prove_tile(const ScoreTile& scores, const TileMask& mask, const TilePrices& prices);

}  // namespace tnm
