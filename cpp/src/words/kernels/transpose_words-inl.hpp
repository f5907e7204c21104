// 64 x 64 bits with rows and columns exchanged, several rows in a vector.
//
// Quarters of ever smaller squares change places: Warren, Hacker's Delight, section 7-3.
#pragma once

#include "simd/vectors-inl.hpp"
#include "words/kernels/words-inl.hpp"

namespace tnm::TNM_ISA {

// Every second kDistance bits, from the lowest on.
template <int kDistance>
inline constexpr std::uint64_t kLowerBits =
    ~std::uint64_t{0} / ((std::uint64_t{1} << kDistance % 64) + 1);

// With rows that are kDistance apart.
template <int kDistance>
inline __attribute__((always_inline)) void exchange_quarters(Words* rows) {
    constexpr int kCount = kLanes<Words>, kVectors = 64 / kCount;
    constexpr std::uint64_t kLower = kLowerBits<kDistance>;
    if constexpr (kDistance >= kCount) {
        for (int k = 0; k < kVectors; ++k) {
            if ((k * kCount & kDistance) != 0) continue;
            Words &upper = rows[k], &lower = rows[k + kDistance / kCount];
            const Words moved = ((upper >> kDistance) ^ lower) & kLower;
            lower ^= moved;
            upper ^= moved << kDistance;
        }
    } else {
        const auto is_lower = [&]<std::size_t... l>(std::index_sequence<l...>) {
            return Words{((l & kDistance) != 0 ? ~std::uint64_t{0} : 0)...};
        }(std::make_index_sequence<kCount>{});
        for (int k = 0; k < kVectors; ++k) {
            const Words row = rows[k], other = swap_lanes<kDistance>(row);
            const Words if_upper = (row & kLower) | (other & kLower) << kDistance;
            const Words if_lower = (row & ~kLower) | (other >> kDistance & kLower);
            rows[k] = (if_lower & is_lower) | (if_upper & ~is_lower);
        }
    }
}

inline void transpose_words(std::uint64_t* words) {
    constexpr int kCount = kLanes<Words>;
    Words rows[64 / kCount];
    for (int k = 0; k < 64; k += kCount) rows[k / kCount] = load<Words>(words + k);
    exchange_quarters<32>(rows);
    exchange_quarters<16>(rows);
    exchange_quarters<8>(rows);
    exchange_quarters<4>(rows);
    exchange_quarters<2>(rows);
    exchange_quarters<1>(rows);
    for (int k = 0; k < 64; k += kCount) store(words + k, rows[k / kCount]);
}

}  // namespace tnm::TNM_ISA
