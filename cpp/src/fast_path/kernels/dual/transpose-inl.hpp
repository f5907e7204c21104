// Transposing every tile of a strip within its field.
#pragma once

#include "fast_path/strip.hpp"
#include "simd/vectors-inl.hpp"

namespace tnm::TNM_ISA {

// Lanes of `a` where bit kDistance of the lane number is clear, elsewhere `b` moved up by
// kDistance.
template <int kDistance, class Vector>
inline __attribute__((always_inline)) Vector low_halves(Vector a, Vector b) {
    return [&]<std::size_t... l>(std::index_sequence<l...>) __attribute__((always_inline)) {
        return __builtin_shufflevector(a, b,
                                       ((l & kDistance) ? kLanes<Vector> + l - kDistance : l)...);
    }(std::make_index_sequence<kLanes<Vector>>{});
}

template <int kDistance, class Vector>
inline __attribute__((always_inline)) Vector high_halves(Vector a, Vector b) {
    return [&]<std::size_t... l>(std::index_sequence<l...>) __attribute__((always_inline)) {
        return __builtin_shufflevector(a, b,
                                       ((l & kDistance) ? kLanes<Vector> + l : l + kDistance)...);
    }(std::make_index_sequence<kLanes<Vector>>{});
}

// One of log2(m) stages: swaps bit kDistance of the row number with that of the lane number.
template <int kW, int kDistance, class Vector, class T>
inline void transpose_stage(T* lines) {
    if constexpr (kDistance < kLanes<Vector>) {
        for (int i = 0; i < kW; ++i) {
            if (i & kDistance) continue;
            T* upper = lines + i * kStripColumns;
            T* lower = lines + (i + kDistance) * kStripColumns;
            for (int c = 0; c < kStripColumns; c += kLanes<Vector>) {
                const Vector a = load<Vector>(upper + c), b = load<Vector>(lower + c);
                store(upper + c, low_halves<kDistance>(a, b));
                store(lower + c, high_halves<kDistance>(a, b));
            }
        }
    } else {
        for (int i = 0; i < kW; ++i) {
            if (i & kDistance) continue;
            T* upper = lines + i * kStripColumns;
            T* lower = lines + (i + kDistance) * kStripColumns;
            for (int c = 0; c < kStripColumns; c += kLanes<Vector>) {
                if (c & kDistance) continue;
                const Vector a = load<Vector>(upper + c + kDistance), b = load<Vector>(lower + c);
                store(upper + c + kDistance, b);
                store(lower + c, a);
            }
        }
    }
}

template <int kW, class Vector, int kDistance = kW / 2, class T>
inline void transpose_stages(T* lines) {
    transpose_stage<kW, kDistance, Vector>(lines);
    if constexpr (kDistance > 1) transpose_stages<kW, Vector, kDistance / 2>(lines);
}

template <int kW, class Vector = Int16s, class T>
inline void transpose_tiles(const T* source, T* target) {
    std::memcpy(target, source, sizeof(T) * kW * kStripColumns);
    transpose_stages<kW, Vector>(target);
}

}  // namespace tnm::TNM_ISA
