// Vectors of floats from and to memory, whatever its type.
#pragma once

#include "products/product_kernels.hpp"
#include "simd/vectors-inl.hpp"

namespace tnm::TNM_ISA {

inline constexpr int kFloats = kLanes<Floats>;
using Halves = VectorOf<std::uint16_t, kVectorBytes / 2>::type;
using Uint32s = VectorOf<std::uint32_t>::type;

// Unlike splat() this keeps the sign of zero, and is one instruction.
inline __attribute__((always_inline)) Floats broadcast(float value) {
    return [&]<std::size_t... l>(std::index_sequence<l...>) __attribute__((always_inline)) {
        return Floats{(static_cast<void>(l), value)...};
    }(std::make_index_sequence<kFloats>{});
}

// Calls visit.operator()<i>() for i in [0, kCount).
template <int kCount, class Visit>
inline __attribute__((always_inline)) void each(Visit&& visit) {
    [&]<std::size_t... i>(std::index_sequence<i...>) __attribute__((always_inline)) {
        (visit.template operator()<static_cast<int>(i)>(), ...);
    }(std::make_index_sequence<kCount>{});
}

// Element types by their dtype, so that everything is instantiated once for each.
template <Dtype kDtype>
inline constexpr int kItemBytes = kDtype == Dtype::float32 ? 4 : 2;

inline Uint32s widen_halves(Halves halves) {
#if defined(__AVX512F__)
    return reinterpret_cast<Uint32s>(
        _mm512_maskz_cvtepu16_epi32(0xffff, reinterpret_cast<__m256i>(halves)));
#elif defined(__AVX2__)
    return reinterpret_cast<Uint32s>(_mm256_cvtepu16_epi32(reinterpret_cast<__m128i>(halves)));
#else
    return __builtin_convertvector(halves, Uint32s);
#endif
}

inline Floats floats_of_bfloat16(Uint32s bits) {
    return reinterpret_cast<Floats>(bits << 16);
}

// Shifted into place a value is off by 2^112, which the product mends, denormals included.
inline Floats floats_of_float16(Uint32s bits) {
    const Uint32s magnitude = (bits & 0x7fffU) << 13;
    const Uint32s sign = (bits & 0x8000U) << 16;
    const Floats scaled = reinterpret_cast<Floats>(magnitude) * 0x1p112F;
    const Uint32s unbounded = magnitude | 0x7f800000U;
    const auto is_finite = magnitude < 0x0f800000U;
    const Uint32s value = is_finite ? reinterpret_cast<Uint32s>(scaled) : unbounded;
    return reinterpret_cast<Floats>(value | sign);
}

template <Dtype kDtype>
inline Floats load_floats(const std::byte* source) {
    if constexpr (kDtype == Dtype::float32) {
        Floats vector;
        std::memcpy(&vector, source, sizeof vector);
        return vector;
    } else {
        Halves halves;
        std::memcpy(&halves, source, sizeof halves);
        const Uint32s bits = widen_halves(halves);
        if constexpr (kDtype == Dtype::bfloat16) return floats_of_bfloat16(bits);
        return floats_of_float16(bits);
    }
}

// To the nearest, ties to even; NaN stays NaN.
inline Uint32s bfloat16_of_floats(Floats values) {
    const Uint32s bits = reinterpret_cast<Uint32s>(values);
    const Uint32s rounded = (bits + 0x7fffU + (bits >> 16 & 1U)) >> 16;
    return (bits & 0x7fffffffU) > 0x7f800000U ? (bits >> 16 | 0x40U) : rounded;
}

inline Uint32s float16_of_floats(Floats values) {
    const Uint32s bits = reinterpret_cast<Uint32s>(values);
    const Uint32s magnitude = bits & 0x7fffffffU;
    const Uint32s rounded = (magnitude - 0x38000000U + 0xfffU + (magnitude >> 13 & 1U)) >> 13;
    // Adding a half lets the addition round what is denormal in float16.
    const Floats shifted = reinterpret_cast<Floats>(magnitude) + 0.5F;
    const Uint32s denormal = reinterpret_cast<Uint32s>(shifted) - 0x3f000000U;
    const Uint32s infinite = Uint32s{} + 0x7c00U;
    const Uint32s nan = Uint32s{} + 0x7e00U;
    Uint32s result = magnitude < 0x38800000U ? denormal : rounded;
    result = magnitude >= 0x47800000U ? infinite : result;
    result = magnitude > 0x7f800000U ? nan : result;
    return result | (bits >> 16 & 0x8000U);
}

template <Dtype kDtype>
inline void store_floats(std::byte* target, Floats values) {
    if constexpr (kDtype == Dtype::float32) {
        std::memcpy(target, &values, sizeof values);
    } else {
        const Uint32s bits =
            kDtype == Dtype::bfloat16 ? bfloat16_of_floats(values) : float16_of_floats(values);
        const Halves halves = __builtin_convertvector(bits, Halves);
        std::memcpy(target, &halves, sizeof halves);
    }
}

// The first `count` lanes alone.
template <Dtype kDtype>
inline Floats load_first(const std::byte* source, int count) {
    alignas(64) std::byte buffer[kVectorBytes] = {};
    std::memcpy(buffer, source, static_cast<std::size_t>(count * kItemBytes<kDtype>));
    return load_floats<kDtype>(buffer);
}
template <Dtype kDtype>
inline void store_first(std::byte* target, int count, Floats values) {
    alignas(64) std::byte buffer[kVectorBytes];
    store_floats<kDtype>(buffer, values);
    std::memcpy(target, buffer, static_cast<std::size_t>(count * kItemBytes<kDtype>));
}

// One element, by the same conversion.
template <Dtype kDtype>
inline float load_one(const std::byte* source) {
    return load_first<kDtype>(source, 1)[0];
}

// Calls visit.operator()<dtype>() with the constant.
template <class Visit>
inline void visit_values(Dtype dtype, Visit&& visit) {
    if (dtype == Dtype::float32) return visit.template operator()<Dtype::float32>();
    if (dtype == Dtype::bfloat16) return visit.template operator()<Dtype::bfloat16>();
    return visit.template operator()<Dtype::float16>();
}

inline void widen(const std::byte* values, Dtype dtype, std::int64_t count, float* target) {
    // Values may be read beyond their end, and the target has room for a vector more.
    visit_values(dtype, [&]<Dtype kDtype>() {
        for (std::int64_t k = 0; k < count; k += kFloats)
            store(target + k, load_floats<kDtype>(values + k * kItemBytes<kDtype>));
    });
}

}  // namespace tnm::TNM_ISA
