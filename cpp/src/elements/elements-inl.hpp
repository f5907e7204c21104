// Elements of every type, and what is known of the scores that they make.
#pragma once

#include "simd/vectors-inl.hpp"
#include "tnm/dtype.hpp"
#include "tnm/pattern.hpp"

namespace tnm::TNM_ISA {

// What holds the bits of an element; 16-bit floats are kept as they are in memory.
template <Dtype kDtype>
constexpr auto element_bits() {
    if constexpr (kDtype == Dtype::int8) return std::int8_t{};
    if constexpr (kDtype == Dtype::int16) return std::int16_t{};
    if constexpr (kDtype == Dtype::int32) return std::int32_t{};
    if constexpr (kDtype == Dtype::int64) return std::int64_t{};
    if constexpr (kDtype == Dtype::boolean || kDtype == Dtype::uint8) return std::uint8_t{};
    if constexpr (kDtype == Dtype::uint32) return std::uint32_t{};
    if constexpr (kDtype == Dtype::uint64) return std::uint64_t{};
    if constexpr (kDtype == Dtype::float32) return float{};
    if constexpr (kDtype == Dtype::float64) return double{};
    if constexpr (kDtype == Dtype::uint16 || kDtype == Dtype::float16 || kDtype == Dtype::bfloat16)
        return std::uint16_t{};
}
template <Dtype kDtype>
using Element = decltype(element_bits<kDtype>());
template <Dtype kDtype>
inline constexpr int kDtypeBytes = sizeof(Element<kDtype>);

template <Dtype kDtype>
inline constexpr bool kIsHalf = kDtype == Dtype::float16 || kDtype == Dtype::bfloat16;
template <Dtype kDtype>
inline constexpr bool kIsInteger = kDtype <= Dtype::uint64;
template <Dtype kDtype>
inline constexpr bool kIsSigned =
    !kIsInteger<kDtype> || (Dtype::int8 <= kDtype && kDtype <= Dtype::int64);

// The most bits of a score; of integers only.
template <Dtype kDtype, Score kScore>
inline constexpr int kScoreBits =
    (kDtype == Dtype::boolean ? 1 : 8 * kDtypeBytes<kDtype>)*(kScore == Score::square ? 2 : 1);

// Vectors of whole 64-bit integers become doubles, rounded once: their halves, put into the
// fractions of doubles whose exponents make up for where they stood.
template <bool kSigned>
inline Doubles doubles_of(Int64s integers) {
    using Bits = VectorOf<std::uint64_t>::type;
    constexpr std::uint64_t kSign = kSigned ? 0x80000000U : 0;
    constexpr std::uint64_t kUpper = 0x4530000000000000U | kSign, kLower = 0x4330000000000000U;
    const auto bits = reinterpret_cast<Bits>(integers);
    const auto upper = reinterpret_cast<Doubles>((bits >> 32) ^ kUpper);
    const auto lower = reinterpret_cast<Doubles>((bits & 0xffffffffU) | kLower);
    constexpr double kOffset = 0x1p84 + 0x1p52 + (kSigned ? 0x1p63 : 0.0);
    return (upper - kOffset) + lower;
}

// Half as many elements of 64 bits.
template <Dtype kDtype>
inline __attribute__((always_inline)) HalfFloats half_floats_at(const std::byte* data) {
    const auto integers = load<Int64s>(reinterpret_cast<const std::int64_t*>(data));
    return __builtin_convertvector(doubles_of<kIsSigned<kDtype>>(integers), HalfFloats);
}

inline __attribute__((always_inline)) Floats join(HalfFloats lower, HalfFloats upper) {
    return [&]<std::size_t... l>(std::index_sequence<l...>) __attribute__((always_inline)) {
        return __builtin_shufflevector(lower, upper, l...);
    }(std::make_index_sequence<kLanes<Floats>>{});
}

// As many elements as floats fill a vector, each rounded to a float.
template <Dtype kDtype>
inline __attribute__((always_inline)) Floats floats_at(const std::byte* data) {
    static_assert(!kIsHalf<kDtype> && kDtypeBytes<kDtype> > 1);
    if constexpr (kIsInteger<kDtype> && kDtypeBytes<kDtype> == 8) {
        return join(half_floats_at<kDtype>(data), half_floats_at<kDtype>(data + kVectorBytes));
    } else {
        constexpr int kBytes = kDtypeBytes<kDtype> * kLanes<Floats>;
        typename VectorOf<Element<kDtype>, kBytes>::type elements;
        std::memcpy(&elements, data, sizeof elements);
        if constexpr (kDtypeBytes<kDtype> == 2)
            return __builtin_convertvector(__builtin_convertvector(elements, Int32s), Floats);
        else
            return __builtin_convertvector(elements, Floats);
    }
}

}  // namespace tnm::TNM_ISA
