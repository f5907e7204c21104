// Lattices of prices, and filling a tile over entries that cost exactly their prices.
#pragma once

#include <vector>

#include "reference/tile.hpp"

namespace tnm::test::naive {

// The largest power of two that divides all of these; zero if all are zero.
int common_power_of_two(const std::vector<int>& scores);

// How many of the entries in `tight` can be kept if no row and column takes more than it needs.
int most_tight(const Flags& tight, std::vector<int> row_needs, std::vector<int> column_needs);

// The `count` candidates that need most; of equals the lowest.
std::vector<int> neediest(const std::vector<int>& candidates, const std::vector<int>& needs,
                          int count);

}  // namespace tnm::test::naive
