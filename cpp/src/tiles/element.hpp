// Reading one array element, whatever its type, as a double.
#pragma once

#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>
#include <type_traits>

#include "tnm/array_view.hpp"
#include "tnm/pattern.hpp"

namespace tnm {

struct Float16 {
    std::uint16_t bits;
};
struct Bfloat16 {
    std::uint16_t bits;
};
struct Boolean {
    std::uint8_t byte;
};

inline float to_float(Float16 half) {
    // Shifted into place the value is off by 2^112; the multiplication mends that, denormals
    // included. Infinity and NaN need their exponent set by hand.
    const std::uint32_t sign = std::uint32_t{half.bits & 0x8000U} << 16;
    const std::uint32_t magnitude = std::uint32_t{half.bits & 0x7fffU} << 13;
    if (magnitude >= 0x0f800000U) return std::bit_cast<float>(sign | magnitude | 0x7f800000U);
    constexpr float kRebias = std::bit_cast<float>(std::uint32_t{(127 + 112) << 23});
    return std::bit_cast<float>(
        sign | std::bit_cast<std::uint32_t>(std::bit_cast<float>(magnitude) * kRebias));
}

inline float to_float(Bfloat16 value) {
    return std::bit_cast<float>(std::uint32_t{value.bits} << 16);
}
inline float to_float(Boolean value) {
    return value.byte != 0 ? 1.0F : 0.0F;
}
template <class T>
float to_float(T value) {
    return static_cast<float>(value);
}

template <class T>
double to_double(T value) {
    if constexpr (std::is_arithmetic_v<T>)
        return static_cast<double>(value);
    else
        return static_cast<double>(to_float(value));
}

template <class T>
T load_element(const std::byte* address) {
    T value;
    std::memcpy(&value, address, sizeof value);
    return value;
}

inline double score_of(double value, Score score) {
    switch (score) {
        case Score::abs:
            return std::fabs(value);
        case Score::square:
            return value * value;
        case Score::identity:
            break;
    }
    return value;
}

// Unlike std::isfinite this needs no branch: NaN and infinity fail the comparison.
template <class T>
bool is_finite(T score) {
    return std::fabs(score) <= std::numeric_limits<T>::max();
}

// Calls visitor.template operator()<T>() with the C++ type that holds elements of `dtype`.
template <class Visitor>
decltype(auto) visit_dtype(Dtype dtype, Visitor&& visitor) {
    switch (dtype) {
        case Dtype::boolean:
            return visitor.template operator()<Boolean>();
        case Dtype::int8:
            return visitor.template operator()<std::int8_t>();
        case Dtype::int16:
            return visitor.template operator()<std::int16_t>();
        case Dtype::int32:
            return visitor.template operator()<std::int32_t>();
        case Dtype::int64:
            return visitor.template operator()<std::int64_t>();
        case Dtype::uint8:
            return visitor.template operator()<std::uint8_t>();
        case Dtype::uint16:
            return visitor.template operator()<std::uint16_t>();
        case Dtype::uint32:
            return visitor.template operator()<std::uint32_t>();
        case Dtype::uint64:
            return visitor.template operator()<std::uint64_t>();
        case Dtype::float16:
            return visitor.template operator()<Float16>();
        case Dtype::bfloat16:
            return visitor.template operator()<Bfloat16>();
        case Dtype::float32:
            return visitor.template operator()<float>();
        case Dtype::float64:
            break;
    }
    return visitor.template operator()<double>();
}

inline std::int64_t item_bytes(Dtype dtype) {
    return visit_dtype(dtype,
                       []<class Element>() { return static_cast<std::int64_t>(sizeof(Element)); });
}

}  // namespace tnm
