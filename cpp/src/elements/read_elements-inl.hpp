// Neighbouring elements of any type as numbers to compute with.
#pragma once

#include "elements/elements-inl.hpp"
#include "simd/vectors-inl.hpp"

namespace tnm::TNM_ISA {

// Columns are taken in groups of this many bytes of scores, so that what a group collects stays in
// registers.
inline constexpr int kLoadBytes = 4 * kVectorBytes;
template <class T>
inline constexpr int kLoadColumns = kLoadBytes / static_cast<int>(sizeof(T));

// Shifted into place a float16 is off by 2^112; the multiplication mends that, denormals included.
// Infinity and NaN come out too large for a float16, and are turned into infinity.
inline float float_of_float16(std::uint32_t half) {
    const std::uint32_t magnitude_bits = (half & 0x7fffU) << 13;
    const std::uint32_t special = magnitude_bits >= 0x0f800000U ? 0x7f800000U : 0U;
    float magnitude_value;
    std::memcpy(&magnitude_value, &magnitude_bits, sizeof magnitude_value);
    magnitude_value *= 0x1p112F;
    std::uint32_t bits;
    std::memcpy(&bits, &magnitude_value, sizeof bits);
    bits |= special | (half & 0x8000U) << 16;
    float value;
    std::memcpy(&value, &bits, sizeof value);
    return value;
}

inline float float_of_bfloat16(std::uint32_t half) {
    const std::uint32_t bits = half << 16;
    float value;
    std::memcpy(&value, &bits, sizeof value);
    return value;
}

template <Dtype kDtype, class T>
inline T value_of(Element<kDtype> element) {
    if constexpr (kDtype == Dtype::float16) return static_cast<T>(float_of_float16(element));
    if constexpr (kDtype == Dtype::bfloat16) return static_cast<T>(float_of_bfloat16(element));
    if constexpr (kDtype == Dtype::boolean) return static_cast<T>(element != 0);
    return static_cast<T>(element);
}

// Returns where the values are: in place if they need no conversion, else in `space`.
template <Dtype kDtype, class T>
inline const T* read_columns(const std::byte* data, T* space) {
    constexpr int kGroup = kLoadColumns<T>;
    if constexpr (kDtype == (sizeof(T) == sizeof(float) ? Dtype::float32 : Dtype::float64)) {
        return reinterpret_cast<const T*>(data);
    } else if constexpr (kIsInteger<kDtype> && kDtypeBytes<kDtype> == 8) {
        for (int c = 0; c < kGroup; c += kLanes<Int64s>)
            store(space + c, doubles_of<kIsSigned<kDtype>>(
                                 load<Int64s>(reinterpret_cast<const std::int64_t*>(data) + c)));
        return space;
    } else {
        // A copy would be written in other pieces than it is read, and wait for them.
        using Unaligned __attribute__((aligned(1), may_alias)) = Element<kDtype>;
        const auto* elements = reinterpret_cast<const Unaligned*>(data);
        for (int c = 0; c < kGroup; ++c) space[c] = value_of<kDtype, T>(elements[c]);
        return space;
    }
}

}  // namespace tnm::TNM_ISA
