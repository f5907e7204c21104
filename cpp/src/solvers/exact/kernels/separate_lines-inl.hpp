// Tiles of "at most n" that are no higher, or no wider, than n, line by line.
//
// Lines lie in lanes. Short ones are sorted, others bisected for a price that n scores exceed.
#pragma once

#include "solvers/exact/kernels/augment_tile-inl.hpp"
#include "solvers/exact/kernels/warm_start-inl.hpp"
#include "solvers/exact/tile_kernels.hpp"

namespace tnm::TNM_ISA::tile {

// Score k of line l is scores[k * stride + l].
struct Lines {
    const double* scores;
    std::int64_t stride;
    int lines, length;

    Doubles load_scores(int k, int first_line) const {
        return load<Doubles>(scores + k * stride + first_line);
    }
};

inline Int64s count_above(const Lines& lines, int first_line, Int64s bits) {
    Int64s above{};
    for (int k = 0; k < lines.length; ++k)
        above -= lines.load_scores(k, first_line) > reinterpret_cast<Doubles>(bits);
    return above;
}

// By lane: a price that n scores of a line exceed, or fewer, `above`, where the price itself ties
// or is zero.
struct LinePrices {
    Doubles price;
    Int64s above;
};

inline LinePrices sort_for_prices(const Lines& lines, int first_line, int n) {
    Doubles values[kMostSorted] = {};
    for (int k = 0; k < lines.length; ++k) values[k] = lines.load_scores(k, first_line);
    sort_largest(values, lines.length, n);
    return {values[n], count_above(lines, first_line, reinterpret_cast<Int64s>(values[n]))};
}

// As integers, the bits of scores that are not below zero are ordered as these are; halving what
// lies between two of them takes few steps whatever the magnitudes are.
inline LinePrices bisect_for_prices(const Lines& lines, int first_line, int n) {
    using Uint64s = VectorOf<std::uint64_t>::type;
    const Int64s wanted = splat<Int64s>(std::int64_t{n});
    Doubles least = lines.load_scores(0, first_line), largest = least;
    for (int k = 1; k < lines.length; ++k) {
        least = minimum(least, lines.load_scores(k, first_line));
        largest = maximum(largest, lines.load_scores(k, first_line));
    }
    const Int64s chooses = count_above(lines, first_line, Int64s{}) > wanted;
    // More than n are above low, at most n above high.
    Int64s low = reinterpret_cast<Int64s>(least) & chooses, above{};
    Int64s high = reinterpret_cast<Int64s>(largest) & chooses;
    low += low > 0;
    for (;;) {
        const Int64s undecided = (above != wanted) & (high - low > 1);
        if (bits_of(undecided) == 0) return {reinterpret_cast<Doubles>(high), above};
        const auto middle = reinterpret_cast<Int64s>(
            midpoint_rounded_down(reinterpret_cast<Uint64s>(low), reinterpret_cast<Uint64s>(high)));
        const Int64s counted = count_above(lines, first_line, middle);
        const Int64s too_many = undecided & (counted > wanted), enough = undecided & ~too_many;
        low = too_many ? middle : low;
        high = enough ? middle : high;
        above = enough ? counted : above;
    }
}

inline LinePrices find_prices(const Lines& lines, int first_line, int n) {
    if (lines.length <= n) return {Doubles{}, Int64s{}};
    return lines.length <= kMostSorted ? sort_for_prices(lines, first_line, n)
                                       : bisect_for_prices(lines, first_line, n);
}

// Keeps what exceeds its prices.
inline void keep_above_prices(TileWork& work) {
    const NodeSet real = first_nodes(work.columns);
    for (int i = 0; i < work.rows; ++i) {
        NodeSet kept;
        const Doubles row_price = splat<Doubles>(work.row_prices[i]);
        for (int j = 0; j < work.columns; j += kLanes<Doubles>) {
            const auto score = load<Doubles>(work.scores + i * work.columns + j);
            const Doubles price = row_price + load<Doubles>(work.column_prices + j);
            kept.words[j >> 6] |= bits_of(score > price) << (j & 63);
        }
        kept = kept & real;
        for (int w = 0; w < 2; ++w) work.kept[i][w] = kept.words[w];
    }
}

// Sets prices and mask; of scores that equal the price of their line, the first are kept.
inline void solve_separate_lines(TileWork& work) {
    const bool are_rows = work.rows <= work.n;
    if (are_rows) turn_scores(work);
    const Lines lines =
        are_rows ? Lines{work.column_scores, TileWork::kColumnStride, work.rows, work.columns}
                 : Lines{work.scores, work.columns, work.columns, work.rows};
    double* const prices = are_rows ? work.row_prices : work.column_prices;
    std::memset(are_rows ? work.column_prices : work.row_prices, 0, sizeof work.row_prices);
    alignas(64) std::int64_t above[kMaxM];
    for (int line = 0; line < lines.lines; line += kLanes<Doubles>) {
        const LinePrices found = find_prices(lines, line, work.n);
        store(prices + line, found.price);
        store(above + line, found.above);
    }
    keep_above_prices(work);
    for (int line = 0; line < lines.lines; ++line) {
        std::int64_t missing = prices[line] == 0.0 ? 0 : work.n - above[line];
        for (int k = 0; missing > 0; ++k) {
            if (lines.scores[k * lines.stride + line] != prices[line]) continue;
            const int i = are_rows ? line : k, j = are_rows ? k : line;
            work.kept[i][j >> 6] |= std::uint64_t{1} << (j & 63);
            --missing;
        }
    }
}

}  // namespace tnm::TNM_ISA::tile
