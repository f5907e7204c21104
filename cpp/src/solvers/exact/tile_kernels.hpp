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
    // Keeps the n largest of `count` scores that are not below zero, or all that are above it if
    // they are fewer; of equal ones the first. Returns a price that none of the others exceeds and
    // none of these falls short of. Writes up to kPadding beyond the scores.
    double (*keep_largest)(double* scores, int count, int n, std::uint64_t* kept);
};

// Those of the instruction set in use.
const TileKernels& tile_kernels();

}  // namespace tnm
