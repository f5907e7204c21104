// Activation functions of vectors, within a few units in the last place of float32.
#pragma once

#include "products/kernels/elements-inl.hpp"

namespace tnm::TNM_ISA {

// The argument is clamped to where the result is a normal number. A polynomial of the remainder
// from the nearest multiple of log 2, by Cephes' method.
inline Floats exponential(Floats x) {
    x = minimum(maximum(x, broadcast(-87.0F)), broadcast(88.0F));
    constexpr float kRounder = 12582912.0F;  // 1.5 * 2^23: adding it rounds to whole numbers
    const Floats shifted = x * 1.44269504F + kRounder;
    const Floats power = shifted - kRounder;
    const Floats r = (x - power * 0.693359375F) - power * -2.12194440e-4F;
    Floats series = r * 1.9875691500e-4F + 1.3981999507e-3F;
    series = series * r + 8.3334519073e-3F;
    series = series * r + 4.1665795894e-2F;
    series = series * r + 1.6666665459e-1F;
    series = series * r + 5.0000001201e-1F;
    series = series * (r * r) + r + 1.0F;
    const Int32s exponent = reinterpret_cast<Int32s>(shifted) << 23;
    return reinterpret_cast<Floats>(reinterpret_cast<Int32s>(series) + exponent);
}

// Far below zero activations are next to nothing, but infinity times that is not. NaN stays NaN.
inline Floats at_least(float bound, Floats x) {
    return x < bound ? broadcast(bound) : x;
}

inline Floats silu(Floats x) {
    return at_least(-88.0F, x) / (1.0F + exponential(-x));
}

// x times a logistic function, as 1 + tanh(u) is 2 / (1 + exp(-2u)).
inline Floats gelu_tanh(Floats x) {
    constexpr float kTwiceRootOfTwoOverPi = 1.5957691216F;
    return at_least(-88.0F, x) /
           (1.0F + exponential(-kTwiceRootOfTwoOverPi * (x + 0.044715F * x * x * x)));
}

// The complementary error function by Abramowitz and Stegun, Handbook of Mathematical Functions,
// 7.1.26: off by 1.5e-7 at most.
inline Floats gelu(Floats x) {
    const Floats z = magnitude(x) * 0.70710678F;
    const Floats bounded = at_least(-14.0F, -at_least(-14.0F, -x));
    const Floats t = 1.0F / (1.0F + 0.3275911F * z);
    Floats series = t * 1.061405429F - 1.453152027F;
    series = series * t + 1.421413741F;
    series = series * t - 0.284496736F;
    series = series * t + 0.254829592F;
    const Floats tail = 0.5F * bounded * (series * t * exponential(-z * z));
    return x > 0.0F ? x - tail : tail;
}

// NaN stays NaN.
inline Floats relu(Floats x) {
    return x < 0.0F ? Floats{} : x;
}

template <Activation kActivation>
inline Floats activate(Floats x) {
    if constexpr (kActivation == Activation::relu) return relu(x);
    if constexpr (kActivation == Activation::gelu) return gelu(x);
    if constexpr (kActivation == Activation::gelu_tanh) return gelu_tanh(x);
    if constexpr (kActivation == Activation::silu) return silu(x);
    return x;
}

}  // namespace tnm::TNM_ISA
