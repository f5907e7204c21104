// The bits of the floating-point types that scores come in.
#pragma once

#include "simd/vectors-inl.hpp"

namespace tnm::TNM_ISA {

template <class T>
struct ScoreTraits;
template <>
struct ScoreTraits<float> {
    using Vector = Floats;
    using BitsVector = Int32s;
    using Bits = std::int32_t;
    static constexpr int kMantissaBits = 23, kBias = 127;
    // From the least exponent, all rescalings still leave scales and units normal numbers.
    static constexpr int kLeastExponent = -60, kLargestExponent = 126;
};
template <>
struct ScoreTraits<double> {
    using Vector = Doubles;
    using BitsVector = Int64s;
    using Bits = std::int64_t;
    static constexpr int kMantissaBits = 52, kBias = 1023;
    static constexpr int kLeastExponent = -900, kLargestExponent = 900;
};

}  // namespace tnm::TNM_ISA
