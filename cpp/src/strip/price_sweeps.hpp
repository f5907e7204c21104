// Coordinate descent on the dual prices of a strip, in 16-bit integers.
//
// The same method as optimal/warm_start.hpp, all tiles of a strip at once: given column prices v,
// the best u_i is anything between the n-th and the (n+1)-th largest of s_ij - v_j.
#pragma once

#include "strip/quantize.hpp"
#include "strip/sorting_network.hpp"

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
template <int kM, int k>
inline __attribute__((always_inline)) Int16s broadcast(const std::int16_t* prices, int first) {
    if constexpr (kM >= kLanes<Int16s>) {
        return splat<Int16s>(prices[first / kM * kM + k]);
    } else {
        const Int16s vector = load<Int16s>(prices + first);
        return [&]<std::size_t... l>(std::index_sequence<l...>) __attribute__((always_inline)) {
            return __builtin_shufflevector(vector, vector, (l / kM * kM + k)...);
        }(std::make_index_sequence<kLanes<Int16s>>{});
    }
}

// values[k] = line k of the strip less the other side's price k, for one vector of lanes.
template <int kM>
inline __attribute__((always_inline)) void subtract_prices(const std::int16_t* lines,
                                                           const std::int16_t* other_prices,
                                                           int first, Int16s* values) {
    [&]<std::size_t... k>(std::index_sequence<k...>) __attribute__((always_inline)) {
        ((values[k] = load<Int16s>(lines + k * kStripColumns + first) -
                      broadcast<kM, k>(other_prices, first)),
         ...);
    }(std::make_index_sequence<kM>{});
}

template <int kM, int kN>
inline void sweep_side(const std::int16_t* lines, const std::int16_t* other_prices,
                       std::int16_t* prices, int n, Overshoot share) {
    for (int first = 0; first < kStripColumns; first += kLanes<Int16s>) {
        Int16s values[kM];
        subtract_prices<kM>(lines, other_prices, first, values);
        const auto nth = select_neighbours<kM>(values, kN > 0 ? kN : n);
        const Int16s target = clamp(midpoint(nth.upper, nth.lower), kPriceBound);
        const Int16s step = target - load<Int16s>(prices + first);
        store(prices + first, clamp(target + overshoot(step, share), kPriceBound));
    }
}

// Half of how far each column's mean is from the mean of the tile; within the bound of prices.
template <int kM>
inline void start_from_column_means(const std::int16_t* by_row, std::int16_t* column_prices) {
    alignas(64) std::int32_t sums[kStripColumns] = {};
    for (int i = 0; i < kM; ++i)
        for (int c = 0; c < kStripColumns; ++c) sums[c] += by_row[i * kStripColumns + c];
    for (int tile = 0; tile < kStripColumns; tile += kM) {
        std::int32_t total = 0;
        for (int k = 0; k < kM; ++k) total += sums[tile + k];
        for (int k = 0; k < kM; ++k)
            column_prices[tile + k] =
                static_cast<std::int16_t>((sums[tile + k] - total / kM) / (2 * kM));
    }
}

inline constexpr Overshoot kSchedule[] = {Overshoot::none,          Overshoot::quarter,
                                          Overshoot::three_eighths, Overshoot::three_eighths,
                                          Overshoot::half,          Overshoot::none};

// kN is n where it is worth a copy of the code of its own, else 0.
template <int kM, int kN>
inline void propose_prices(const QuantizedStrip& strip, int n, StripPrices& prices) {
    start_from_column_means<kM>(strip.by_row, prices.columns);
    for (int c = 0; c < kStripColumns; ++c) prices.rows[c] = 0;
    bool first = true;
    for (const Overshoot share : kSchedule) {
        sweep_side<kM, kN>(strip.by_column, prices.columns, prices.rows, n, share);
        sweep_side<kM, kN>(strip.by_row, prices.rows, prices.columns, n,
                           first ? Overshoot::none : share);
        first = false;
    }
}

}  // namespace tnm::TNM_ISA
