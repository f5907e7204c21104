// The optimum of a tile, twice over: by trying everything, and by the textbook flow algorithm.
//
// On exact integers, so that no tolerance is needed. Both return the highest total score of a mask
// with exactly n (full tiles) or at most n (edge tiles) kept in each row and column.
#pragma once

#include <cstdint>

#include "reference/tile.hpp"

namespace tnm::test {

// Tries all masks; at most 16 entries.
std::int64_t best_by_brute_force(const Tile& tile, const IntegerScores& scores);

// Successive shortest paths by Bellman and Ford; any tile.
std::int64_t best_by_flow(const Tile& tile, const IntegerScores& scores);

}  // namespace tnm::test
