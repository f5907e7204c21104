// Kept values to their lanes, and kept lanes next to each other.
#pragma once

#include "products/kernels/elements-inl.hpp"

namespace tnm::TNM_ISA {

#if defined(__AVX512F__)

// Lane j is the next value if bit j is set, else zero.
template <Dtype kDtype>
inline Floats expand(const std::byte* values, std::uint64_t bits) {
    return _mm512_maskz_expand_ps(static_cast<__mmask16>(bits), load_floats<kDtype>(values));
}

inline Floats keep(const float* row, std::uint64_t bits) {
    return _mm512_maskz_compress_ps(static_cast<__mmask16>(bits), load<Floats>(row));
}

#elif defined(__AVX2__)

// For each 8 bits: which lane comes where, -1 where none does.
struct LaneTables {
    std::int8_t expand[256][8];
    std::int8_t compress[256][8];
};

constexpr LaneTables make_lane_tables() {
    LaneTables tables{};
    for (int bits = 0; bits < 256; ++bits) {
        int kept = 0;
        for (int lane = 0; lane < 8; ++lane) {
            const bool is_kept = (bits >> lane & 1) != 0;
            tables.expand[bits][lane] = static_cast<std::int8_t>(is_kept ? kept : -1);
            if (is_kept) tables.compress[bits][kept++] = static_cast<std::int8_t>(lane);
        }
    }
    return tables;
}
alignas(64) inline constexpr LaneTables kLaneTables = make_lane_tables();

inline __m256i lanes_of(const std::int8_t (&table)[8]) {
    return _mm256_cvtepi8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(table)));
}

template <Dtype kDtype>
inline Floats expand(const std::byte* values, std::uint64_t bits) {
    const __m256i lanes = lanes_of(kLaneTables.expand[bits]);
    const __m256 moved = _mm256_permutevar8x32_ps(load_floats<kDtype>(values), lanes);
    // The compiler would make two instructions of the intrinsic.
    const __m256 zero = _mm256_setzero_ps();
    __m256 kept;
    asm("vblendvps %3, %2, %1, %0" : "=x"(kept) : "x"(moved), "x"(zero), "x"(lanes));
    return kept;
}

inline Floats keep(const float* row, std::uint64_t bits) {
    return _mm256_permutevar8x32_ps(load<Floats>(row), lanes_of(kLaneTables.compress[bits]));
}

#else

template <Dtype kDtype>
inline Floats expand(const std::byte* values, std::uint64_t bits) {
    const Floats next = load_floats<kDtype>(values);
    Floats lanes{};
    for (int lane = 0, kept = 0; lane < kFloats; ++lane)
        if (bits >> lane & 1) lanes[lane] = next[kept++];
    return lanes;
}

inline Floats keep(const float* row, std::uint64_t bits) {
    Floats lanes{};
    for (int lane = 0, kept = 0; lane < kFloats; ++lane)
        if (bits >> lane & 1) lanes[kept++] = row[lane];
    return lanes;
}

#endif

inline constexpr std::uint64_t kStepBits = (std::uint64_t{1} << kFloats) - 1;

// A step without a branch; where `readable` is false, one element after another.
inline std::byte* compress(const std::byte* row, std::uint64_t word, std::int64_t item_size,
                           bool readable, std::byte* target) {
    if (!readable || item_size != 4) {
        for (; word != 0; word &= word - 1, target += item_size) {
            const std::byte* source = row + __builtin_ctzll(word) * item_size;
            if (item_size == 4)
                std::memcpy(target, source, 4);
            else
                std::memcpy(target, source, 2);
        }
        return target;
    }
    for (int j = 0; j < kBlockColumns; j += kFloats) {
        const auto bits = word >> j & kStepBits;
        float lanes[kFloats];
        std::memcpy(lanes, row + j * 4, sizeof lanes);
        const Floats kept = keep(lanes, bits);
        std::memcpy(target, &kept, sizeof kept);
        target += __builtin_popcountll(bits) * 4;
    }
    return target;
}

}  // namespace tnm::TNM_ISA
