// Kept values to their lanes.
#pragma once

#include "products/kernels/elements-inl.hpp"
#include "words/kernels/lane_tables-inl.hpp"

namespace tnm::TNM_ISA {

#if defined(__AVX512F__)

// Lane j is the next value if bit j is set, else zero.
template <Dtype kDtype>
inline Floats expand(const std::byte* values, std::uint64_t bits) {
    return _mm512_maskz_expand_ps(static_cast<__mmask16>(bits), load_floats<kDtype>(values));
}

#elif defined(__AVX2__)

inline __m256i lanes_of(const std::int8_t (&table)[8]) {
    return _mm256_cvtepi8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(table)));
}

template <Dtype kDtype>
inline Floats expand(const std::byte* values, std::uint64_t bits) {
    const __m256i lanes = lanes_of(kLaneTables.spread[bits]);
    const __m256 moved = _mm256_permutevar8x32_ps(load_floats<kDtype>(values), lanes);
    // The compiler would make two instructions of the intrinsic.
    const __m256 zero = _mm256_setzero_ps();
    __m256 kept;
    asm("vblendvps %3, %2, %1, %0" : "=x"(kept) : "x"(moved), "x"(zero), "x"(lanes));
    return kept;
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

#endif

inline constexpr std::uint64_t kStepBits = (std::uint64_t{1} << kFloats) - 1;

}  // namespace tnm::TNM_ISA
