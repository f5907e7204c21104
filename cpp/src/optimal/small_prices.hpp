// Prices that double can hold, for tiles whose largest score it can only just hold.
#pragma once

#include "optimal/scaled_tile.hpp"
#include "tiles/tile.hpp"

namespace tnm {

// Optimal prices are not unique. Where those of a tile of "exactly n" would overflow once they are
// scaled back, moves them towards the middle of what the optimal mask allows, and evens out rows
// and columns, of whose prices only the sums count.
void keep_prices_finite(const ScaledTile& tile, const TileMask& mask, TilePrices& prices);

}  // namespace tnm
