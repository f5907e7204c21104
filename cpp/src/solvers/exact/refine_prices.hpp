// Coordinate descent on the dual in double precision, for tiles whose dynamic range 16 bits cannot
// show.
#pragma once

#include "solvers/exact/scaled_tile.hpp"

namespace tnm {

// Improves the prices in place; returns whether there was anything to improve. Prices stay
// multiples of the largest power of two that divides all scores wherever double can show that, so
// that slacks remain exact.
bool refine_prices(const ScaledTile& tile, TilePrices& prices);

}  // namespace tnm
