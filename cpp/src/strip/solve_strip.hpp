// One strip, from scores to mask.
#pragma once

#include "strip/augment.hpp"
#include "strip/price_sweeps.hpp"
#include "strip/quantize.hpp"
#include "strip/threshold.hpp"
#include "strip/transpose.hpp"

namespace tnm::TNM_ISA {

template <int kW, class T>
inline bool balance_tile(const T* scores, int tile, Pattern pattern,
                         const std::int16_t* column_counts, StripSolution& solution) {
    const int first = tile * kW, m = pattern.m;
    TileAugmenter<kW, T> augmenter;
    augmenter.begin(scores + first, pattern);
    for (int k = 0; k < m; ++k)
        augmenter.set_row(k, solution.kept[k] >> first & kFieldMask<kW>,
                          solution.row_prices[first + k]);
    for (int k = 0; k < m; ++k)
        augmenter.set_column(k, column_counts[first + k], solution.column_prices[first + k]);
    if (!augmenter.balance(m / 2)) return false;
    for (int k = 0; k < m; ++k) {
        solution.kept[k] =
            (solution.kept[k] & ~(kFieldMask<kW> << first)) | augmenter.kept(k) << first;
        solution.row_prices[first + k] = augmenter.row_price(k);
        solution.column_prices[first + k] = augmenter.column_price(k);
    }
    return true;
}

// kPadded: m is smaller than the field. kN: n if known at compile time, else 0.
template <int kW, bool kPadded, int kN, class T>
void solve_strip(const T* scores, Pattern pattern, StripSolution& solution) {
    QuantizedStrip strip;
    StripPrices prices;
    ThresholdedStrip result;
    alignas(64) std::int16_t real_lanes[kStripColumns];
    quantize<kW>(scores, pattern, strip);
    start_from_column_means<kW>(strip.by_row, prices.columns);
    if constexpr (kPadded) {
        mark_real_lanes<kW>(pattern.m, real_lanes);
        exclude_padding<kW>(pattern.m, real_lanes, strip.by_row);
    }
    transpose_tiles<kW>(strip.by_row, strip.by_column);
    propose_prices<kW, kN>(strip, kPadded ? real_lanes : nullptr, pattern.n, prices);
    threshold<kW>(scores, strip, prices, result);

    for (int i = 0; i < kW; ++i) solution.kept[i] = result.kept[i];
    for (int c = 0; c < kStripColumns; ++c) {
        solution.row_prices[c] = prices.rows[c] * strip.unit[c];
        solution.column_prices[c] = prices.columns[c] * strip.unit[c];
    }
    solution.out_of_range = any_in_field<kW>(strip.out_of_range);
    solution.unsolved = solution.out_of_range;
    std::uint64_t unbalanced = unbalanced_tiles<kW>(result, pattern) & ~solution.unsolved;
    for (; unbalanced != 0; unbalanced &= unbalanced - 1) {
        const int tile = __builtin_ctzll(unbalanced);
        if (!balance_tile<kW>(scores, tile, pattern, result.column_counts, solution))
            solution.unsolved |= std::uint64_t{1} << tile;
    }
}

}  // namespace tnm::TNM_ISA
