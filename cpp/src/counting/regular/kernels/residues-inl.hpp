// Vectors of residues, one prime a lane, held in double as integers of at most half the prime.
//
// Products and sums of a few products stay below 2^53 and are exact, so that a fused multiply-add
// gives what a multiplication and an addition give; only which of two quotients near a tie is taken
// may depend on it, and that changes the representative, not the residue.
#pragma once

#include "simd/vectors-inl.hpp"

namespace tnm::TNM_ISA {

inline constexpr int kWidth = kLanes<Doubles>;

// Adding it rounds what is below 2^51 to an integer.
inline constexpr double kRounder = 6755399441055744.0;

struct Modulus {
    Doubles prime;
    Doubles inverse;

    Doubles reduce(Doubles value) const {
        const Doubles quotient = (value * inverse + kRounder) - kRounder;
        return value - quotient * prime;
    }
    Doubles multiply(Doubles a, Doubles b) const { return reduce(a * b); }
};

}  // namespace tnm::TNM_ISA
