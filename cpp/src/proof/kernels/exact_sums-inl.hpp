// Sums and differences whose rounding errors are kept.
#pragma once

#include "simd/vectors-inl.hpp"

namespace tnm::TNM_ISA {

// `error` becomes what rounding took from a + b (Knuth's two-sum).
template <class Number>
inline __attribute__((always_inline)) Number add(Number a, Number b, Number& error) {
    const Number sum = a + b, of_b = sum - a;
    error = (a - (sum - of_b)) + (b - of_b);
    return sum;
}

// a - b - c, rounded after both: the sign is right where b and c are much larger than the rest.
inline __attribute__((always_inline)) Doubles subtract(Doubles a, Doubles b, Doubles c) {
    Doubles first_error, second_error;
    const Doubles leading = add(add(a, -b, first_error), -c, second_error);
    return leading + (second_error + first_error);
}

// sum + rest.
template <class Number>
struct ExactSum {
    Number sum, rest;

    inline __attribute__((always_inline)) void add(Number term) {
        Number error;
        sum = TNM_ISA::add(sum, term, error);
        rest += error;
    }
};

// The total of kCount sums and their rests, in pairs.
template <int kCount>
inline double add_up(double* sums, double* rests) {
    for (int half = kCount / 2; half >= 1; half /= 2)
        for (int k = 0; k < half; ++k) {
            double error;
            sums[k] = add(sums[k], sums[k + half], error);
            rests[k] += rests[k + half] + error;
        }
    return sums[0] + rests[0];
}

}  // namespace tnm::TNM_ISA
