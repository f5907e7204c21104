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
struct ExactSum {
    Doubles sum, rest;

    inline __attribute__((always_inline)) void add(Doubles term) {
        Doubles error;
        sum = TNM_ISA::add(sum, term, error);
        rest += error;
    }
};

// Numbers k and k + kHalf, for every k with k / kHalf even, as neighbouring vectors.
template <int kHalf>
inline __attribute__((always_inline)) void load_halves(const double* source, Doubles& lower,
                                                       Doubles& upper) {
    constexpr int kCount = kLanes<Doubles>;
    if constexpr (kHalf >= kCount) {
        lower = load_doubles(source);
        upper = load_doubles(source + kHalf);
    } else {
        const Doubles a = load_doubles(source), b = load_doubles(source + kCount);
        [&]<std::size_t... l>(std::index_sequence<l...>) __attribute__((always_inline)) {
            lower = __builtin_shufflevector(a, b, (l / kHalf * 2 * kHalf + l % kHalf)...);
            upper = __builtin_shufflevector(a, b, (l / kHalf * 2 * kHalf + l % kHalf + kHalf)...);
        }(std::make_index_sequence<kCount>{});
    }
}

// Adds up fields of kWidth numbers: the total of field f becomes sums[f] + rests[f]. Both have 64
// numbers, at least kFields * kWidth of which are used. The order of sums does not depend on the
// width of a vector.
template <int kFields, int kWidth>
inline void add_up_fields(double* sums, double* rests) {
    if constexpr (kWidth > 1) {
        constexpr int kHalf = kWidth / 2;
        for (int to = 0; to < kFields * kHalf; to += kLanes<Doubles>) {
            const int from = to / kHalf * kWidth + to % kHalf;
            Doubles lower, upper, lower_rest, upper_rest, error;
            load_halves<kHalf>(sums + from, lower, upper);
            load_halves<kHalf>(rests + from, lower_rest, upper_rest);
            store(sums + to, add(lower, upper, error));
            store(rests + to, (lower_rest + upper_rest) + error);
        }
        add_up_fields<kFields, kHalf>(sums, rests);
    }
}

}  // namespace tnm::TNM_ISA
