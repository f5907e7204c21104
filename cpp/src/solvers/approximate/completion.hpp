// Bringing a mask with at most n in each row and column to exactly n.
#pragma once

#include <vector>

#include "tiles/tile.hpp"

namespace tnm {

// Positions i * columns + j of all entries, highest score first, equal scores by position.
void order_by_score(const ScoreTile& scores, std::vector<int>& order);

// Keeps further entries in the given order while their row and column have room. On edge tiles
// entries without positive score are passed over.
void fill_greedily(const ScoreTile& scores, const std::vector<int>& order, TileMask& mask);

// Full tiles, after fill_greedily: gives every row and column exactly n. A row i and a column j
// that still lack one have kept (i, j) already; then some kept (r, c) can make room for (i, c) and
// (r, j), and the exchange of highest gain is taken. One always exists: otherwise every row that
// could still take column j would itself be short, and the greedy fill would have used it.
void complete_by_exchange(const ScoreTile& scores, TileMask& mask);

}  // namespace tnm
