// Words of 64 bits as fields of the tiles of a strip.
#pragma once

#include <cstdint>

#include "fast_path/strip.hpp"

namespace tnm::TNM_ISA {

// Popcount of every field of kW bits, each in the lowest bits of its field.
template <int kW>
inline std::uint64_t field_counts(std::uint64_t bits) {
    bits -= bits >> 1 & 0x5555555555555555ULL;
    bits = (bits & 0x3333333333333333ULL) + (bits >> 2 & 0x3333333333333333ULL);
    if constexpr (kW == 4) return bits;
    bits = (bits + (bits >> 4)) & 0x0f0f0f0f0f0f0f0fULL;
    if constexpr (kW >= 16) bits = (bits + (bits >> 8)) & 0x00ff00ff00ff00ffULL;
    if constexpr (kW >= 32) bits = (bits + (bits >> 16)) & 0x0000ffff0000ffffULL;
    if constexpr (kW >= 64) bits = (bits + (bits >> 32)) & 0x00000000ffffffffULL;
    return bits;
}

inline int popcount(std::uint64_t bits) {
#if defined(__POPCNT__)
    return __builtin_popcountll(bits);
#else
    return static_cast<int>(field_counts<64>(bits));
#endif
}

template <int kW>
inline constexpr std::uint64_t kFieldMask =
    kW == 64 ? ~std::uint64_t{0} : (std::uint64_t{1} << (kW % 64)) - 1;

// The lowest bit of every field.
template <int kW>
constexpr std::uint64_t field_units() {
    std::uint64_t units = 0;
    for (int c = 0; c < kStripColumns; c += kW) units |= std::uint64_t{1} << c;
    return units;
}

// All lanes of the tiles whose bits are set.
template <int kW>
inline std::uint64_t lanes_of_tiles(std::uint64_t tiles) {
    std::uint64_t lanes = 0;
    for (; tiles != 0; tiles &= tiles - 1) lanes |= kFieldMask<kW> << (__builtin_ctzll(tiles) * kW);
    return lanes;
}

}  // namespace tnm::TNM_ISA
