// Shortest augmenting paths for one tile, by Dijkstra over lists of arcs.
#pragma once

#include <vector>

#include "reference/tile.hpp"

namespace tnm::test::naive {

struct Balance {
    Flags kept;
    std::vector<double> row_prices, column_prices;

    // How many units are to be sent until every row and column keeps n.
    int missing(const Tile& tile) const;
};

// Sends one unit after another. Of equally near nodes it takes one that wants a unit first, then
// the lowest row, then the lowest column; a path goes back through the node that was closed first.
void augment(const Tile& tile, Balance& balance);

// By how much the entries violate complementary slackness: what is kept is worth its prices, what
// is dropped is not worth more. Zero for an optimal mask, rounding apart.
double worst_violation(const Tile& tile, const Balance& balance);

}  // namespace tnm::test::naive
