// One tile from scores to integers, by the definition.
#pragma once

#include <vector>

#include "reference/tile.hpp"

namespace tnm::test::naive {

// The largest magnitude lies in [2^(e - 1), 2^e); these are the least and the largest e that a type
// of scores is scaled from.
struct ExponentRange {
    int least = 0, largest = 0;
};

struct QuantizedTile {
    std::vector<int> scores;  // row-major
    double unit = 0.0;
    bool out_of_range = false;
    bool wide = false;  // spans so much that it is not rescaled
};

// A score in units, rounded towards zero and clamped.
int rounded(double score, double unit);

// `width` is that of the tile's field: it decides which rows are sampled.
QuantizedTile quantize(const Tile& tile, int width, ExponentRange range);

}  // namespace tnm::test::naive
