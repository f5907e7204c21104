// Random numbers from a seed, the same on every platform.
#pragma once

#include <array>
#include <bit>
#include <cstdint>

#include "counting/margins/wide_integer.hpp"

namespace tnm {

// The generator xoshiro256++ of Blackman and Vigna (2019).
class RandomWords {
  public:
    explicit RandomWords(const std::uint64_t* seed) {
        std::uint64_t any = 0;
        for (int k = 0; k < 4; ++k) any |= state_[k] = seed[k];
        // The only state that it would never leave.
        if (any == 0) state_[0] = 1;
    }

    std::uint64_t next() {
        const std::uint64_t word = std::rotl(state_[0] + state_[3], 23) + state_[0];
        const std::uint64_t shifted = state_[1] << 17;
        state_[2] ^= state_[0];
        state_[3] ^= state_[1];
        state_[1] ^= state_[2];
        state_[0] ^= state_[3];
        state_[2] ^= shifted;
        state_[3] = std::rotl(state_[3], 45);
        return word;
    }

    // Uniform in [0, bound), without bias (Lemire 2019).
    std::uint32_t below(std::uint32_t bound) {
        for (;;) {
            const Uint128 product = static_cast<Uint128>(next()) * bound;
            const auto low = static_cast<std::uint64_t>(product);
            if (low >= bound || low >= (0 - std::uint64_t{bound}) % bound)
                return static_cast<std::uint32_t>(product >> 64);
        }
    }

  private:
    std::array<std::uint64_t, 4> state_;
};

}  // namespace tnm
