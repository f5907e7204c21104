// The quick part of the exact solver for tiles of any shape: what is compiled once for each
// instruction set.
#pragma once

#include <cstdint>

#include "tnm/pattern.hpp"

namespace tnm {

// A tile on its way from scores to mask; lanes beyond rows and columns hold anything finite.
struct alignas(64) TileWork {
    // Of a scaled tile: row-major without gaps, and readable for kPadding beyond its end.
    static constexpr int kPadding = 8;
    const double* scores;
    int rows, columns, n;
    bool exact;  // exactly n in each row and column, or at most n

    // Whether lines along one axis may keep all they like, so that each line along the other keeps
    // its largest scores, whatever the rest does.
    bool has_separate_lines() const { return !exact && (rows <= n || columns <= n); }

    // In the units of the scores. On tiles of "at most n" they are not negative.
    double row_prices[kMaxM], column_prices[kMaxM];
    std::uint64_t kept[kMaxM][2];

    // Scores as integers of 16 bits: line i of row i, and line j of column j.
    std::int16_t by_row[kMaxM * kMaxM], by_column[kMaxM * kMaxM];
    // Line j holds the scores of column j. Lines are apart by other than a power of two, or they
    // would all want the same places of the first-level cache.
    static constexpr int kColumnStride = kMaxM + 8;
    double column_scores[kMaxM * kColumnStride];
};

struct TileKernels {
    // Dual prices to start from, by coordinate descent: sets those of `work`. If all scores are
    // multiples of some 2^k that 16 bits can show, so are the prices, and equal scores stay exact
    // ties.
    void (*propose_prices)(TileWork& work);
    // Finds the mask, and prices that prove it, from prices to start with; gives up if more than
    // `limit` units are missing from rows and columns, which is so where many scores tie. Then
    // prices are as they were.
    bool (*solve)(TileWork& work, int limit);
    // The same, from no prices at all, for tiles that have separate lines. Of scores that tie, the
    // first in a line is kept.
    void (*solve_separate_lines)(TileWork& work);
};

// Those of the instruction set in use.
const TileKernels& tile_kernels();

}  // namespace tnm
