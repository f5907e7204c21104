// Coordinate descent on the dual prices of a strip, in 16-bit integers.
//
// The same method as optimal/warm_start.hpp, all tiles of a strip at once: given column prices v,
// the best u_i is anything between the n-th and the (n+1)-th largest of s_ij - v_j.
#pragma once

#include "strip/quantize.hpp"
#include "strip/sorting_network.hpp"
#include "strip/strip_kernels.hpp"

namespace tnm::TNM_ISA {

struct alignas(64) StripPrices {
    std::int16_t rows[kStripColumns];
    std::int16_t columns[kStripColumns];
};

// How far beyond the midpoint a sweep goes, as a share of its step. The last sweep of a schedule
// takes the midpoint itself: it leaves every column with exactly n, ties apart.
enum class Overshoot { none, quarter, three_eighths, half };

inline Int16s overshoot(Int16s step, Overshoot share) {
    switch (share) {
        case Overshoot::quarter:
            return step >> 2;
        case Overshoot::three_eighths:
            return (step >> 2) + (step >> 3);
        case Overshoot::half:
            return step >> 1;
        case Overshoot::none:
            break;
    }
    return Int16s{};
}

// Lane k of each field, over the whole field. `first` is the first lane of `prices` that a vector
// at this place of the strip covers.
template <int kW, int k>
inline __attribute__((always_inline)) Int16s broadcast(const std::int16_t* prices, int first) {
    if constexpr (kW >= kLanes<Int16s>) {
        return splat<Int16s>(prices[first / kW * kW + k]);
    } else {
        const Int16s vector = load<Int16s>(prices + first);
        return [&]<std::size_t... l>(std::index_sequence<l...>) __attribute__((always_inline)) {
            return __builtin_shufflevector(vector, vector, (l / kW * kW + k)...);
        }(std::make_index_sequence<kLanes<Int16s>>{});
    }
}

// values[k] = line k of the strip less the other side's price k, for one vector of lanes.
template <int kW>
inline __attribute__((always_inline)) void subtract_prices(const std::int16_t* lines,
                                                           const std::int16_t* other_prices,
                                                           int first, Int16s* values) {
    [&]<std::size_t... k>(std::index_sequence<k...>) __attribute__((always_inline)) {
        ((values[k] = load<Int16s>(lines + k * kStripColumns + first) -
                      broadcast<kW, k>(other_prices, first)),
         ...);
    }(std::make_index_sequence<kW>{});
}

// `real_lanes` is null if there is no padding; the price of padding is zero.
template <int kW, int kN>
inline void sweep_side(const std::int16_t* lines, const std::int16_t* other_prices,
                       const std::int16_t* real_lanes, int n, Overshoot share,
                       std::int16_t* prices) {
    for (int first = 0; first < kStripColumns; first += kLanes<Int16s>) {
        Int16s values[kW];
        subtract_prices<kW>(lines, other_prices, first, values);
        const auto nth = select_neighbours<kW>(values, kN > 0 ? kN : n);
        const Int16s target = clamp(midpoint(nth.upper, nth.lower), kPriceBound);
        const Int16s step = target - load<Int16s>(prices + first);
        Int16s price = clamp(target + overshoot(step, share), kPriceBound);
        if (real_lanes != nullptr) price &= load<Int16s>(real_lanes + first);
        store(prices + first, price);
    }
}

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

// One entry a sweep over rows and columns. More sweeps leave less to the augmenting paths, whose
// cost grows faster with the size of the tile: measured, not derived.
template <int kW>
inline constexpr Overshoot kSchedule[] = {Overshoot::none,          Overshoot::quarter,
                                          Overshoot::three_eighths, Overshoot::three_eighths,
                                          Overshoot::half,          Overshoot::none};
template <>
inline constexpr Overshoot kSchedule<4>[] = {Overshoot::none, Overshoot::quarter, Overshoot::none};
template <>
inline constexpr Overshoot kSchedule<32>[] = {
    Overshoot::none, Overshoot::quarter, Overshoot::three_eighths, Overshoot::three_eighths,
    Overshoot::half, Overshoot::half,    Overshoot::half,          Overshoot::none};
template <>
inline constexpr Overshoot kSchedule<8>[] = {Overshoot::none, Overshoot::quarter,
                                             Overshoot::quarter, Overshoot::three_eighths,
                                             Overshoot::none};

// Improves on the column prices that `prices` starts with. kN is n where that is worth a copy of
// the code of its own, else 0.
template <int kW, int kN>
inline void propose_prices(const QuantizedStrip& strip, const std::int16_t* real_lanes, int n,
                           Upcoming upcoming, StripPrices& prices) {
    constexpr int kSides = 2 * static_cast<int>(sizeof(kSchedule<kW>) / sizeof(Overshoot));
    constexpr int kRowsASide = (kW + kSides - 1) / kSides;
    for (int c = 0; c < kStripColumns; ++c) prices.rows[c] = 0;
    bool first = true;
    for (const Overshoot share : kSchedule<kW>) {
        upcoming.prefetch(kRowsASide);
        sweep_side<kW, kN>(strip.by_column, prices.columns, real_lanes, n, share, prices.rows);
        upcoming.prefetch(kRowsASide);
        sweep_side<kW, kN>(strip.by_row, prices.rows, real_lanes, n,
                           first ? Overshoot::none : share, prices.columns);
        first = false;
    }
}

}  // namespace tnm::TNM_ISA
