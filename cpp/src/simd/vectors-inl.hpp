// Vectors of the instruction set that this translation unit is compiled for.
//
// The including file defines TNM_ISA, the namespace of the instruction set. Everything that is
// compiled with wider instructions lives in that namespace, so that the linker can never pick such
// a copy for a machine without them. For the same reason nothing of the standard library may be
// compiled along: kernels include <cstddef>, <cstdint> and <cstring>, but no header of templates;
// <type_traits> and <utility> are here for types alone. What they share with other files is plain
// structs, or inlined always. tests/simd/check_weak_symbols.cmake looks at what came of it.
//
// All arithmetic is the compiler's vector extension; only turning a comparison into bits needs an
// intrinsic. Files that are compiled once, for the plainest machine, set TNM_ISA to baseline, and
// use the vectors of 16 bytes.
#pragma once

#ifndef TNM_ISA
#error "define TNM_ISA before including this header"
#endif

#include <cstdint>
#include <cstring>
#include <type_traits>
#include <utility>

#if defined(__SSE2__)
#include <immintrin.h>
#endif

namespace tnm::TNM_ISA {

#if defined(__AVX512BW__)
inline constexpr int kVectorBytes = 64;
#elif defined(__AVX2__)
inline constexpr int kVectorBytes = 32;
#else
inline constexpr int kVectorBytes = 16;
#endif

template <class T, int kBytes = kVectorBytes>
struct VectorOf {
    using type __attribute__((vector_size(kBytes))) = T;
};

using Bytes = VectorOf<std::uint8_t>::type;
using Int16s = VectorOf<std::int16_t>::type;
using Uint16s = VectorOf<std::uint16_t>::type;
using Int32s = VectorOf<std::int32_t>::type;
using Int64s = VectorOf<std::int64_t>::type;
using Floats = VectorOf<float>::type;
using Doubles = VectorOf<double>::type;
using HalfFloats = VectorOf<float, kVectorBytes / 2>::type;
using HalfInt32s = VectorOf<std::int32_t, kVectorBytes / 2>::type;

using Int16x8 = VectorOf<std::int16_t, 16>::type;
using Doublex2 = VectorOf<double, 16>::type;

template <class Vector>
inline constexpr int kLanes = static_cast<int>(sizeof(Vector) / sizeof(Vector{}[0]));

template <class Vector, class T>
inline Vector load(const T* source) {
    static_assert(sizeof(T) == sizeof(Vector{}[0]));
    Vector vector;
    std::memcpy(&vector, source, sizeof vector);
    return vector;
}

template <class Vector, class T>
inline void store(T* target, Vector vector) {
    static_assert(sizeof(T) == sizeof(Vector{}[0]));
    std::memcpy(target, &vector, sizeof vector);
}

inline Doubles load_doubles(const double* source) {
    return load<Doubles>(source);
}
// GCC makes several instructions of __builtin_convertvector, and of lanes that are no longer in
// memory.
inline __attribute__((always_inline)) Doubles widen(HalfFloats floats) {
#if defined(__AVX512F__)
    return reinterpret_cast<Doubles>(_mm512_maskz_cvtps_pd(0xff, reinterpret_cast<__m256>(floats)));
#elif defined(__AVX2__)
    return reinterpret_cast<Doubles>(_mm256_cvtps_pd(reinterpret_cast<__m128>(floats)));
#else
    return __builtin_convertvector(floats, Doubles);
#endif
}
inline __attribute__((always_inline)) Doubles load_doubles(const float* source) {
    return widen(load<HalfFloats>(source));
}

template <class Vector, class T>
inline Vector splat(T value) {
    return Vector{} + value;
}

template <class Vector>
inline Vector minimum(Vector a, Vector b) {
    return a < b ? a : b;
}
template <class Vector>
inline Vector maximum(Vector a, Vector b) {
    return a > b ? a : b;
}

inline Floats magnitude(Floats vector) {
    return reinterpret_cast<Floats>(reinterpret_cast<Int32s>(vector) & 0x7fffffff);
}
inline Doubles magnitude(Doubles vector) {
    return reinterpret_cast<Doubles>(reinterpret_cast<Int64s>(vector) & 0x7fffffffffffffff);
}

template <int kDistance, class Vector>
inline __attribute__((always_inline)) Vector swap_lanes(Vector vector) {
    return [&]<std::size_t... l>(std::index_sequence<l...>) __attribute__((always_inline)) {
        return __builtin_shufflevector(vector, vector, (l ^ kDistance)...);
    }(std::make_index_sequence<kLanes<Vector>>{});
}

// In every lane.
template <class Vector, int kDistance = kLanes<Vector> / 2>
inline __attribute__((always_inline)) Vector largest_of_lanes(Vector vector) {
    vector = maximum(vector, swap_lanes<kDistance>(vector));
    if constexpr (kDistance > 1) return largest_of_lanes<Vector, kDistance / 2>(vector);
    return vector;
}
template <class Vector, int kDistance = kLanes<Vector> / 2>
inline __attribute__((always_inline)) Vector smallest_of_lanes(Vector vector) {
    vector = minimum(vector, swap_lanes<kDistance>(vector));
    if constexpr (kDistance > 1) return smallest_of_lanes<Vector, kDistance / 2>(vector);
    return vector;
}

// Of integers. Unlike (a + b) / 2 neither can overflow. Which one proposes a price can decide which
// of several optimal masks is found.
template <class Vector>
inline Vector midpoint_rounded_up(Vector a, Vector b) {
    return (a | b) - ((a ^ b) >> 1);
}
template <class Vector>
inline Vector midpoint_rounded_down(Vector a, Vector b) {
    return (a & b) + ((a ^ b) >> 1);
}

template <class Vector>
inline Vector clamp(Vector vector, std::int16_t bound) {
    return minimum(maximum(vector, splat<Vector>(static_cast<std::int16_t>(-bound))),
                   splat<Vector>(bound));
}

// ---- comparison masks: 0 or -1 in each lane ------------------------------------

template <class Mask>
inline bool all_set(Mask mask) {
    std::uint64_t words[sizeof(Mask) / sizeof(std::uint64_t)];
    std::memcpy(words, &mask, sizeof mask);
    std::uint64_t common = ~std::uint64_t{0};
    for (const std::uint64_t word : words) common &= word;
    return common == ~std::uint64_t{0};
}
template <class Mask>
inline bool any_set(Mask mask) {
    std::uint64_t words[sizeof(Mask) / sizeof(std::uint64_t)];
    std::memcpy(words, &mask, sizeof mask);
    std::uint64_t any = 0;
    for (const std::uint64_t word : words) any |= word;
    return any != 0;
}

// ---- comparison masks to bits: lane k becomes bit k ---------------------------

#if defined(__AVX512BW__)
inline std::uint64_t bits_of_lanes(__m512i mask, std::integral_constant<int, 1>) {
    return _mm512_movepi8_mask(mask);
}
inline std::uint64_t bits_of_lanes(__m512i mask, std::integral_constant<int, 2>) {
    return _mm512_movepi16_mask(mask);
}
inline std::uint64_t bits_of_lanes(__m512i mask, std::integral_constant<int, 4>) {
    return _mm512_movepi32_mask(mask);
}
inline std::uint64_t bits_of_lanes(__m512i mask, std::integral_constant<int, 8>) {
    return _mm512_movepi64_mask(mask);
}
using RawMask = __m512i;
#elif defined(__AVX2__)
inline std::uint64_t bits_of_lanes(__m256i mask, std::integral_constant<int, 1>) {
    return static_cast<std::uint32_t>(_mm256_movemask_epi8(mask));
}
inline std::uint64_t bits_of_lanes(__m256i mask, std::integral_constant<int, 2>) {
    const __m256i bytes = _mm256_packs_epi16(mask, _mm256_setzero_si256());
    const auto packed = static_cast<std::uint32_t>(_mm256_movemask_epi8(bytes));
    return (packed & 0xffU) | ((packed >> 8) & 0xff00U);
}
inline std::uint64_t bits_of_lanes(__m256i mask, std::integral_constant<int, 4>) {
    return static_cast<std::uint32_t>(_mm256_movemask_ps(_mm256_castsi256_ps(mask)));
}
inline std::uint64_t bits_of_lanes(__m256i mask, std::integral_constant<int, 8>) {
    return static_cast<std::uint32_t>(_mm256_movemask_pd(_mm256_castsi256_pd(mask)));
}
using RawMask = __m256i;
#elif defined(__SSE2__)
inline std::uint64_t bits_of_lanes(__m128i mask, std::integral_constant<int, 1>) {
    return static_cast<std::uint32_t>(_mm_movemask_epi8(mask));
}
inline std::uint64_t bits_of_lanes(__m128i mask, std::integral_constant<int, 2>) {
    return static_cast<std::uint32_t>(
        _mm_movemask_epi8(_mm_packs_epi16(mask, _mm_setzero_si128())));
}
inline std::uint64_t bits_of_lanes(__m128i mask, std::integral_constant<int, 4>) {
    return static_cast<std::uint32_t>(_mm_movemask_ps(_mm_castsi128_ps(mask)));
}
inline std::uint64_t bits_of_lanes(__m128i mask, std::integral_constant<int, 8>) {
    return static_cast<std::uint32_t>(_mm_movemask_pd(_mm_castsi128_pd(mask)));
}
using RawMask = __m128i;
#else
template <class Mask, int kSize>
inline std::uint64_t bits_of_lanes(Mask mask, std::integral_constant<int, kSize>) {
    std::uint64_t bits = 0;
    for (int lane = 0; lane < kVectorBytes / kSize; ++lane)
        bits |= static_cast<std::uint64_t>(mask[lane] & 1) << lane;
    return bits;
}
#endif

// A template because compilers disagree on the type of a comparison's result.
template <class Mask>
inline std::uint64_t bits_of(Mask mask) {
    constexpr std::integral_constant<int, sizeof(Mask) / kLanes<Mask>> kLaneBytes{};
#if defined(__SSE2__)
    return bits_of_lanes(reinterpret_cast<RawMask>(mask), kLaneBytes);
#else
    return bits_of_lanes(mask, kLaneBytes);
#endif
}

}  // namespace tnm::TNM_ISA
