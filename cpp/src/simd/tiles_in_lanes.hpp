// Solved tiles side by side, for code that takes many columns at once.
#pragma once

#include <cstdint>

#include "tnm/pattern.hpp"

namespace tnm {

// Full tiles in 64 lanes. Tile t has `width` >= m lanes, its column j is lane t * width + j; of
// scores and mask there are m rows. Lanes beyond a tile's columns hold zeros and are not kept.
template <class T>
struct TilesInLanes {
    static constexpr int kCount = 64;

    Pattern pattern;
    int tiles, width;
    const T* scores;            // rows of kCount
    const std::uint64_t* kept;  // bit c of a row: lane c
    const double* row_prices;   // of row i of tile t: t * width + i
    const double* column_prices;
    const std::int64_t* indices;  // of the tiles among all, ascending
};

}  // namespace tnm
