// Many tokens: a panel times a window of the matrix, by one row or two at a time.
#pragma once

#include "products/kernels/row_pairs-inl.hpp"

namespace tnm::TNM_ISA {

// A vector holds kFloats tokens of a column; a panel must stay in the first-level cache.
inline constexpr int kMostVectors = kVectorBytes == 64 ? 7 : 8;

// A pair of rows ends three walks along bits where a row ends one. With few vectors a walk takes as
// long as what is multiplied, and pairs pay where it is long.
template <int kVectors>
inline void multiply_window(const PackedWindow& window, const float* values, const float* panel,
                            float* sums) {
    if constexpr (kHasRowPairs && kVectors >= 2) {
        const bool is_dense = window.kept >= 20 * window.rows;
        if (kVectors >= 3 || is_dense)
            return multiply_row_pairs<kVectors>(window, values, panel, sums);
    }
    multiply_rows<kVectors>(window, values, panel, sums);
}

inline void multiply_panel(const PackedWindow& window, const void* values, const void* panel,
                           int vectors, float* sums) {
    each<kMostVectors>([&]<int v>() __attribute__((always_inline)) {
        if (vectors == v + 1)
            multiply_window<v + 1>(window, static_cast<const float*>(values),
                                   static_cast<const float*>(panel), sums);
    });
}

}  // namespace tnm::TNM_ISA
