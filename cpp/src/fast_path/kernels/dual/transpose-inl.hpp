// Transposing every tile of a strip of 16-bit lanes within its field.
#pragma once

#include "fast_path/strip.hpp"
#include "simd/vectors-inl.hpp"

namespace tnm::TNM_ISA {

// Lanes of `a` where bit kDistance of the lane number is clear, elsewhere `b` moved up by
// kDistance.
template <int kDistance>
inline __attribute__((always_inline)) Int16s low_halves(Int16s a, Int16s b) {
    return [&]<std::size_t... l>(std::index_sequence<l...>) __attribute__((always_inline)) {
        return __builtin_shufflevector(a, b,
                                       ((l & kDistance) ? kLanes<Int16s> + l - kDistance : l)...);
    }(std::make_index_sequence<kLanes<Int16s>>{});
}

template <int kDistance>
inline __attribute__((always_inline)) Int16s high_halves(Int16s a, Int16s b) {
    return [&]<std::size_t... l>(std::index_sequence<l...>) __attribute__((always_inline)) {
        return __builtin_shufflevector(a, b,
                                       ((l & kDistance) ? kLanes<Int16s> + l : l + kDistance)...);
    }(std::make_index_sequence<kLanes<Int16s>>{});
}

// One of log2(m) stages: swaps bit kDistance of the row number with that of the lane number.
template <int kW, int kDistance>
inline void transpose_stage(std::int16_t* lines) {
    if constexpr (kDistance < kLanes<Int16s>) {
        for (int i = 0; i < kW; ++i) {
            if (i & kDistance) continue;
            std::int16_t* upper = lines + i * kStripColumns;
            std::int16_t* lower = lines + (i + kDistance) * kStripColumns;
            for (int c = 0; c < kStripColumns; c += kLanes<Int16s>) {
                const Int16s a = load<Int16s>(upper + c), b = load<Int16s>(lower + c);
                store(upper + c, low_halves<kDistance>(a, b));
                store(lower + c, high_halves<kDistance>(a, b));
            }
        }
    } else {
        for (int i = 0; i < kW; ++i) {
            if (i & kDistance) continue;
            std::int16_t* upper = lines + i * kStripColumns;
            std::int16_t* lower = lines + (i + kDistance) * kStripColumns;
            for (int c = 0; c < kStripColumns; c += kLanes<Int16s>) {
                if (c & kDistance) continue;
                const Int16s a = load<Int16s>(upper + c + kDistance), b = load<Int16s>(lower + c);
                store(upper + c + kDistance, b);
                store(lower + c, a);
            }
        }
    }
}

template <int kW, int kDistance = kW / 2>
inline void transpose_stages(std::int16_t* lines) {
    transpose_stage<kW, kDistance>(lines);
    if constexpr (kDistance > 1) transpose_stages<kW, kDistance / 2>(lines);
}

template <int kW>
inline void transpose_tiles(const std::int16_t* source, std::int16_t* target) {
    std::memcpy(target, source, sizeof(std::int16_t) * kW * kStripColumns);
    transpose_stages<kW>(target);
}

}  // namespace tnm::TNM_ISA
