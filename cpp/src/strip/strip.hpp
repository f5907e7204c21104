// The data layout of the fast path.
//
// A strip is one row of tiles, 64 columns wide: 64 / m full tiles side by side, m = 8, 16, 32, 64.
// Column c of the strip is lane c; tile g owns the field of lanes g*m .. g*m + m - 1. Nothing ever
// crosses from one field to another, so a tile's mask does not depend on its neighbours or on its
// place in the strip; missing tiles are lanes of zeros.
//
//   scores      m x 64 floats or doubles, row-major: what the exact phase reads
//   by_row      m x 64 int16: the scores scaled to +-2^14 tile by tile, same layout
//   by_column   m x 64 int16: the same with every tile transposed in its field, so that lane
//               g*m + i of line j holds entry (i, j) of tile g
//   prices      64 int16 for rows, lane g*m + i; 64 for columns, lane g*m + j
//   kept        m words of 64 bits: row r of the strip's mask, bit c for column c
//
// Stages: load (any dtype and stride -> scores), quantize, price sweeps (int16, propose prices),
// threshold (exact), balance (count per field; augmenting paths in double where counts are off),
// store (bits -> bytes).
#pragma once

#include <cstdint>

#include "tiles/tile.hpp"

namespace tnm {

inline constexpr int kStripColumns = 64;
inline constexpr int kLargestStripM = 64;

inline constexpr bool strip_supports(int m) { return m == 8 || m == 16 || m == 32 || m == 64; }

template <class T>
struct alignas(64) StripScores {
    T values[kLargestStripM * kStripColumns];
};

// The solved strip. Prices are in the scores' own units and only valid for solved tiles.
struct alignas(64) StripSolution {
    std::uint64_t kept[kLargestStripM];
    double row_prices[kStripColumns];
    double column_prices[kStripColumns];
    // Bit g is set if tile g was left to the general solver.
    std::uint64_t unsolved;
    // Bit g is set if, moreover, that was because T cannot hold the scale of its scores.
    std::uint64_t out_of_range;
};

}  // namespace tnm
