// Signed integers of a fixed number of 64-bit words, in two's complement.
#pragma once

#include <array>
#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>

#include "tiles/exact_scores.hpp"

namespace tnm {

template <std::size_t kWords>
class FixedInteger {
  public:
    FixedInteger() = default;

    // magnitude * 2^shift; what a negative shift moves below one is cut off.
    FixedInteger(Uint128 magnitude, int shift, bool negative) {
        if (shift < 0) {
            magnitude = shift > -128 ? magnitude >> -shift : 0;
            shift = 0;
        }
        const auto word = static_cast<std::size_t>(shift / 64);
        const int bit = shift % 64;
        put(word, static_cast<std::uint64_t>(magnitude << bit));
        put(word + 1, static_cast<std::uint64_t>(magnitude >> (64 - bit)));
        if (bit > 0) put(word + 2, static_cast<std::uint64_t>(magnitude >> 64 >> (64 - bit)));
        if (negative) *this = FixedInteger() - *this;
    }

    friend FixedInteger operator+(const FixedInteger& a, const FixedInteger& b) {
        FixedInteger sum;
        std::uint64_t carry = 0;
        for (std::size_t k = 0; k < kWords; ++k) {
            const Uint128 word = Uint128{a.words_[k]} + b.words_[k] + carry;
            sum.words_[k] = static_cast<std::uint64_t>(word);
            carry = static_cast<std::uint64_t>(word >> 64);
        }
        return sum;
    }
    friend FixedInteger operator-(const FixedInteger& a, const FixedInteger& b) {
        FixedInteger difference;
        std::uint64_t borrow = 0;
        for (std::size_t k = 0; k < kWords; ++k) {
            const Uint128 word = Uint128{a.words_[k]} - b.words_[k] - borrow;
            difference.words_[k] = static_cast<std::uint64_t>(word);
            borrow = static_cast<std::uint64_t>(word >> 64) & 1;
        }
        return difference;
    }
    friend bool operator<(const FixedInteger& a, const FixedInteger& b) {
        if (a.negative() != b.negative()) return a.negative();
        for (std::size_t k = kWords; k-- > 0;)
            if (a.words_[k] != b.words_[k]) return a.words_[k] < b.words_[k];
        return false;
    }
    bool negative() const { return words_[kWords - 1] >> 63 != 0; }

    // This times 2^exponent, rounded towards zero.
    double to_double(int exponent) const {
        if (negative()) return -(FixedInteger() - *this).to_double(exponent);
        std::size_t top = kWords - 1;
        while (top > 0 && words_[top] == 0) --top;
        const std::uint64_t high = words_[top], low = top > 0 ? words_[top - 1] : 0;
        const int spare = std::countl_zero(high);
        if (spare == 64) return 0.0;
        const std::uint64_t leading = spare == 0 ? high : high << spare | low >> (64 - spare);
        constexpr std::uint64_t kSignificant = ~std::uint64_t{0} << 11;
        return std::ldexp(static_cast<double>(leading & kSignificant),
                          exponent + 64 * static_cast<int>(top) - spare);
    }

  private:
    void put(std::size_t word, std::uint64_t bits) {
        if (word < kWords) words_[word] = bits;
    }

    std::array<std::uint64_t, kWords> words_{};
};

}  // namespace tnm
