// The data layout of the fast path.
//
// A strip is part of a row of tiles, 64 lanes wide. Every tile has a field of w lanes, w = 4, 8,
// 16, 32 or 64 being the smallest that holds m: tile g owns lanes g*w .. g*w + w - 1, its column j
// is lane g*w + j. Nothing ever crosses from one field to another, so a tile's mask does not depend
// on its neighbours or on its place in the strip. Lanes and rows beyond m, and missing tiles, hold
// zeros in `scores` and are never kept.
//
//   scores      w x 64 floats or doubles, row-major: what the exact phase reads
//   by_row      w x 64 int16: the scores scaled to +-2^14 tile by tile, same layout
//   by_column   w x 64 int16: the same with every tile transposed in its field, so that lane
//               g*w + i of line j holds entry (i, j) of tile g
//   prices      64 int16 for rows, lane g*w + i; 64 for columns, lane g*w + j
//   kept        w words of 64 bits: row r of the strip's mask, bit c for lane c
//
// Stages: load (any dtype and stride -> scores), quantize, price sweeps (int16, propose prices),
// threshold (exact), balance (count per field; augmenting paths in double where counts are off),
// store (bits -> bytes).
#pragma once

#include <cstdint>

namespace tnm {

inline constexpr int kStripColumns = 64;
inline constexpr int kLargestStripM = 64;

// The width w of a tile's field, for m <= kLargestStripM.
__attribute__((always_inline)) inline constexpr int field_width(int m) {
    int width = 4;
    while (width < m) width *= 2;
    return width;
}

template <class T>
struct alignas(64) StripScores {
    T values[kLargestStripM * kStripColumns];
    T largest[kStripColumns];  // the largest magnitude in each lane
};

// The solved strip. Prices are in the scores' own units and only valid for solved tiles.
struct alignas(64) StripSolution {
    // Set by the caller: without it, no prices are written.
    bool wants_prices;
    // Set by the caller: bit g if there is a tile g. The mask of a missing one means nothing.
    std::uint64_t tiles = ~std::uint64_t{0};
    std::uint64_t kept[kLargestStripM];
    double row_prices[kStripColumns];
    double column_prices[kStripColumns];
    // Bit g is set if tile g was left to the general solver.
    std::uint64_t unsolved;
    // Bit g is set if, moreover, that was because T cannot hold the scale of its scores.
    std::uint64_t out_of_range;
};

}  // namespace tnm
