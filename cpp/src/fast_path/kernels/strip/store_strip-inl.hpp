// Writing rows of 64 mask bits as 64 bytes of 0 or 1.
#pragma once

#include "fast_path/strip.hpp"
#include "simd/vectors-inl.hpp"

namespace tnm::TNM_ISA {

// Byte k holds bit k % 8.
inline Bytes bit_of_byte() {
    return [&]<std::size_t... l>(std::index_sequence<l...>) __attribute__((always_inline)) {
        return Bytes{static_cast<std::uint8_t>(1 << l % 8)...};
    }(std::make_index_sequence<kVectorBytes>{});
}

// Byte k of the result is byte k / 8 of `bits`.
inline Bytes spread_bytes(std::uint64_t bits) {
    const auto copies = reinterpret_cast<Bytes>(splat<Int64s>(static_cast<std::int64_t>(bits)));
    return [&]<std::size_t... l>(std::index_sequence<l...>) __attribute__((always_inline)) {
        // Every 8 bytes are a copy of `bits`: take from the copy nearby, for shuffles within 16.
        return __builtin_shufflevector(copies, copies, (l / 16 * 16 + l / 8 % 8)...);
    }(std::make_index_sequence<kVectorBytes>{});
}

inline void store_strip(const std::uint64_t* kept, int rows, std::uint8_t* data,
                        std::int64_t row_stride) {
    const Bytes bit = bit_of_byte();
    for (int i = 0; i < rows; ++i) {
        std::uint8_t* target = data + i * row_stride;
        for (int c = 0; c < kStripColumns; c += kVectorBytes) {
            const Bytes spread = spread_bytes(kept[i] >> c);
            const Bytes flags = reinterpret_cast<Bytes>((spread & bit) != 0) & 1;
            store(target + c, flags);
        }
    }
}

}  // namespace tnm::TNM_ISA
