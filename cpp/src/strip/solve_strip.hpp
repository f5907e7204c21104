// One strip, from scores to mask.
#pragma once

#include "strip/augment.hpp"
#include "strip/price_sweeps.hpp"
#include "strip/quantize.hpp"
#include "strip/threshold.hpp"
#include "strip/transpose.hpp"

namespace tnm::TNM_ISA {

template <int kM, class T>
inline bool balance_tile(const T* scores, int tile, int n, const std::int16_t* column_counts,
                         StripSolution& solution) {
    const int first = tile * kM;
    TileAugmenter<kM, T> augmenter;
    augmenter.begin(scores + first, n);
    for (int k = 0; k < kM; ++k)
        augmenter.set_row(k, solution.kept[k] >> first & kFieldMask<kM>,
                          solution.row_prices[first + k]);
    for (int k = 0; k < kM; ++k)
        augmenter.set_column(k, column_counts[first + k], solution.column_prices[first + k]);
    if (!augmenter.balance(kM / 2)) return false;
    for (int k = 0; k < kM; ++k) {
        solution.kept[k] = (solution.kept[k] & ~(kFieldMask<kM> << first)) | augmenter.kept(k) << first;
        solution.row_prices[first + k] = augmenter.row_price(k);
        solution.column_prices[first + k] = augmenter.column_price(k);
    }
    return true;
}

template <int kM, int kN, class T>
void solve_strip(const T* scores, int n, StripSolution& solution) {
    QuantizedStrip strip;
    StripPrices prices;
    ThresholdedStrip result;
    quantize<kM>(scores, n, strip);
    transpose_tiles<kM>(strip.by_row, strip.by_column);
    propose_prices<kM, kN>(strip, n, prices);
    threshold<kM>(scores, strip, prices, result);

    for (int i = 0; i < kM; ++i) solution.kept[i] = result.kept[i];
    for (int c = 0; c < kStripColumns; ++c) {
        solution.row_prices[c] = prices.rows[c] * strip.unit[c];
        solution.column_prices[c] = prices.columns[c] * strip.unit[c];
    }
    solution.out_of_range = any_in_field<kM>(strip.out_of_range);
    solution.unsolved = solution.out_of_range;
    std::uint64_t unbalanced = unbalanced_tiles<kM>(result, n) & ~solution.unsolved;
    for (; unbalanced != 0; unbalanced &= unbalanced - 1) {
        const int tile = __builtin_ctzll(unbalanced);
        if (!balance_tile<kM>(scores, tile, n, result.column_counts, solution))
            solution.unsolved |= std::uint64_t{1} << tile;
    }
}

}  // namespace tnm::TNM_ISA
