// One step of coordinate descent: the best prices of one side, given those of the other.
#pragma once

#include "fast_path/kernels/dual/quantize-inl.hpp"
#include "fast_path/kernels/dual/sorting_network-inl.hpp"

namespace tnm::TNM_ISA {

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
template <int kW, int k, class Vector = Int16s, class T>
inline __attribute__((always_inline)) Vector broadcast(const T* prices, int first) {
    if constexpr (kW >= kLanes<Vector>) {
        return splat<Vector>(prices[first / kW * kW + k]);
    } else {
        const Vector vector = load<Vector>(prices + first);
        return [&]<std::size_t... l>(std::index_sequence<l...>) __attribute__((always_inline)) {
            return __builtin_shufflevector(vector, vector, (l / kW * kW + k)...);
        }(std::make_index_sequence<kLanes<Vector>>{});
    }
}

// values[k] = line k of the strip less the other side's price k, for one vector of lanes.
template <int kW, class Vector, class T>
inline __attribute__((always_inline)) void subtract_prices(const T* lines, const T* other_prices,
                                                           int first, Vector* values) {
    [&]<std::size_t... k>(std::index_sequence<k...>) __attribute__((always_inline)) {
        ((values[k] = load<Vector>(lines + k * kStripColumns + first) -
                      broadcast<kW, k, Vector>(other_prices, first)),
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
        const Int16s target = clamp(midpoint_rounded_up(nth.upper, nth.lower), kPriceBound);
        const Int16s step = target - load<Int16s>(prices + first);
        Int16s price = clamp(target + overshoot(step, share), kPriceBound);
        if (real_lanes != nullptr) price &= load<Int16s>(real_lanes + first);
        store(prices + first, price);
    }
}

}  // namespace tnm::TNM_ISA
