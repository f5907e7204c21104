// The optimal mask of a 4 x 4 tile, by trying all.
#pragma once

#include "reference/tile.hpp"

namespace tnm::test::naive {

struct BestOfFour {
    Flags kept;                 // of equally good masks the first in the documented order
    long double margin = 0.0L;  // by how much it is better than the best of the others
    // For 2:4 the least of that and, over all pairs of rows that keep complementary columns, by how
    // much the best choice for a pair is better than the best of another class.
    long double closest = 0.0L;
};

// For scores whose sums are exact in a long double.
BestOfFour four_by_four(const Tile& tile);

}  // namespace tnm::test::naive
