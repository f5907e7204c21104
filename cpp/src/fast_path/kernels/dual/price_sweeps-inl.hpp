// Coordinate descent on the dual prices of a strip, in 16-bit integers.
//
// The same method as solvers/exact/kernels/warm_start-inl.hpp, all tiles of a strip at once: given
// column prices v, the best u_i is anything between the n-th and the (n+1)-th largest of
// s_ij - v_j. The first sweeps sort for these two; later ones, when few prices are further from
// their place than one rank, count how many of the scores are above and keep the two nearest on
// each side.
#pragma once

#include "fast_path/kernels/dual/near_sweep-inl.hpp"
#include "fast_path/kernels/dual/quantize-inl.hpp"
#include "fast_path/kernels/dual/sweep_side-inl.hpp"
#include "fast_path/strip_kernels.hpp"

namespace tnm::TNM_ISA {

template <class T>
struct alignas(64) PricesOf {
    T rows[kStripColumns];
    T columns[kStripColumns];
};
using StripPrices = PricesOf<std::int16_t>;

// Half of how far each column's mean is from the mean of the tile; within the bound of prices.
template <int kW>
inline void start_from_column_means(const std::int16_t* by_row, std::int16_t* column_prices) {
    alignas(64) std::int32_t sums[kStripColumns] = {};
    for (int i = 0; i < kW; ++i)
        for (int c = 0; c < kStripColumns; ++c) sums[c] += by_row[i * kStripColumns + c];
    for (int tile = 0; tile < kStripColumns; tile += kW) {
        std::int32_t total = 0;
        for (int k = 0; k < kW; ++k) total += sums[tile + k];
        for (int k = 0; k < kW; ++k)
            column_prices[tile + k] =
                static_cast<std::int16_t>((sums[tile + k] - total / kW) / (2 * kW));
    }
}

struct Sweep {
    enum Kind { sorting, near } kind;
    Overshoot share;
};
constexpr Sweep sorting(Overshoot share) {
    return {Sweep::sorting, share};
}
constexpr Sweep near(Overshoot share) {
    return {Sweep::near, share};
}

// One per sweep over rows and columns. More sweeps leave less to the augmenting paths, whose
// cost grows faster with the size of the tile; sorting 32 values or fewer is as quick as looking
// for the nearest. Measured, not derived.
template <int kW>
inline constexpr Sweep kSchedule[] = {
    sorting(Overshoot::none),          sorting(Overshoot::quarter),
    sorting(Overshoot::three_eighths), sorting(Overshoot::three_eighths),
    sorting(Overshoot::half),          sorting(Overshoot::none)};
template <>
inline constexpr Sweep kSchedule<4>[] = {sorting(Overshoot::none), sorting(Overshoot::quarter),
                                         sorting(Overshoot::none)};
template <>
inline constexpr Sweep kSchedule<8>[] = {
    sorting(Overshoot::none), sorting(Overshoot::quarter), sorting(Overshoot::quarter),
    sorting(Overshoot::three_eighths), sorting(Overshoot::none)};
template <>
inline constexpr Sweep kSchedule<32>[] = {
    sorting(Overshoot::none),          sorting(Overshoot::quarter),
    sorting(Overshoot::three_eighths), sorting(Overshoot::three_eighths),
    sorting(Overshoot::half),          sorting(Overshoot::half),
    sorting(Overshoot::half),          sorting(Overshoot::none)};
template <>
inline constexpr Sweep kSchedule<64>[] = {
    sorting(Overshoot::none),       sorting(Overshoot::quarter), sorting(Overshoot::three_eighths),
    near(Overshoot::three_eighths), near(Overshoot::half),       near(Overshoot::half),
    near(Overshoot::half),          near(Overshoot::half),       near(Overshoot::none)};

// Improves on the column prices that `prices` starts with. kN is n where that is worth a copy of
// the code of its own, else 0.
template <int kW, int kN>
inline void propose_prices(const QuantizedStrip& strip, const std::int16_t* real_lanes, int n,
                           Prefetcher prefetcher, StripPrices& prices) {
    constexpr int kSides = 2 * static_cast<int>(sizeof(kSchedule<kW>) / sizeof(Sweep));
    constexpr int kRowsASide = (kW + kSides - 1) / kSides;
    for (int c = 0; c < kStripColumns; ++c) prices.rows[c] = 0;
    bool near_enough = true;
    for (const Sweep planned : kSchedule<kW>) {
        const auto sweep = [&](const std::int16_t* lines, const std::int16_t* other_prices,
                               std::int16_t* target) {
            prefetcher.prefetch(kRowsASide);
            if constexpr (kW == kStripColumns) {
                if (planned.kind == Sweep::near && near_enough) {
                    near_enough = sweep_side_near<kW>(lines, other_prices, real_lanes, n,
                                                      planned.share, target);
                    return;
                }
            }
            sweep_side<kW, kN>(lines, other_prices, real_lanes, n, planned.share, target);
        };
        sweep(strip.by_column, prices.columns, prices.rows);
        sweep(strip.by_row, prices.rows, prices.columns);
    }
}

}  // namespace tnm::TNM_ISA
