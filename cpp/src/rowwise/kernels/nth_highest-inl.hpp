// The n highest of every lane, of equal ones the first: two bounds close in on the n-th.
#pragma once

#include "simd/vectors-inl.hpp"

namespace tnm::TNM_ISA {

// From so many lines on this is quicker than comparing all pairs of them. Measured.
inline constexpr int kLeastLinesBounded = 48;

// Of every lane the highest key that n lines reach: the n-th highest, ties counted. Each pass
// halves what it may be, and goes on to the nearest key, so that few different ones take few
// passes.
template <class T>
inline auto nth_highest(const T* keys, int m, int n) {
    using Vector = typename VectorOf<T>::type;
    Vector low = load<Vector>(keys), high = low;
    for (int k = 1; k < m; ++k) {
        const Vector key = load<Vector>(keys + k * kLanes<Vector>);
        low = minimum(low, key);
        high = maximum(high, key);
    }
    const Vector wanted = splat<Vector>(static_cast<T>(n)), lowest = low, highest = high;
    while (any_set(low ^ high)) {
        // Above the lowest key, so that a byte holds the count where m is 128.
        const Vector middle = midpoint_rounded_up(low, high);
        Vector count{}, next_above = highest, next_below = lowest;
        for (int k = 0; k < m; ++k) {
            const Vector key = load<Vector>(keys + k * kLanes<Vector>);
            const auto above = key >= middle;
            count -= reinterpret_cast<Vector>(above);
            next_above = minimum(next_above, above ? key : highest);
            next_below = maximum(next_below, above ? lowest : key);
        }
        high = count > wanted ? high : count == wanted ? next_above : next_below;
        low = count >= wanted ? next_above : low;
    }
    return low;
}

// Turns keys, line after line, into -1 where they are kept, 0 elsewhere; none below `least` is.
template <class T, class Vector>
inline void keep_highest(T* keys, int m, int n, Vector least) {
    constexpr int kStep = kLanes<Vector>;
    const Vector bound = nth_highest(keys, m, n);
    // What those above it leave is for the first of those that equal it.
    Vector room = splat<Vector>(static_cast<T>(n));
    for (int k = 0; k < m; ++k)
        room += reinterpret_cast<Vector>(load<Vector>(keys + k * kStep) > bound);
    for (int k = 0; k < m; ++k) {
        const Vector key = load<Vector>(keys + k * kStep);
        const auto taken = reinterpret_cast<Vector>((key == bound) & (room > 0));
        room += taken;
        const auto kept = reinterpret_cast<Vector>(key > bound) | taken;
        store(keys + k * kStep, kept & reinterpret_cast<Vector>(key >= least));
    }
}

}  // namespace tnm::TNM_ISA
