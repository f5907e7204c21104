// Square blocks of floats, transposed in registers.
#pragma once

#include "products/kernels/elements-inl.hpp"

namespace tnm::TNM_ISA {

// Swaps the upper right and the lower left quarter of every square of 2 * kDistance.
template <int kDistance, int kUpper>
inline __attribute__((always_inline)) Floats exchange(Floats upper, Floats lower) {
    return [&]<std::size_t... l>(std::index_sequence<l...>) __attribute__((always_inline)) {
        return __builtin_shufflevector(
            upper, lower,
            (kUpper ? ((l & kDistance) ? kFloats + l - kDistance : l)
                    : ((l & kDistance) ? kFloats + l : l + kDistance))...);
    }(std::make_index_sequence<kFloats>{});
}

template <int kDistance = kFloats / 2>
inline __attribute__((always_inline)) void transpose_square(Floats (&rows)[kFloats]) {
    each<kFloats>([&]<int i>() __attribute__((always_inline)) {
        if constexpr ((i & kDistance) == 0) {
            const Floats upper = rows[i], lower = rows[i + kDistance];
            rows[i] = exchange<kDistance, 1>(upper, lower);
            rows[i + kDistance] = exchange<kDistance, 0>(upper, lower);
        }
    });
    if constexpr (kDistance > 1) transpose_square<kDistance / 2>(rows);
}

}  // namespace tnm::TNM_ISA
