// The positions in words of whole groups, and which of them are written where groups keep less.
#pragma once

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>

#include "words/word_kernels.hpp"

namespace tnm {

// The position in its group of each bit of a word: of the two words of a group of more than 64, or
// of as many groups as fit.
class WordPositions {
  public:
    explicit WordPositions(int m) {
        for (int bit = 0; bit < 2 * kWordBits; ++bit)
            positions_[bit] = static_cast<std::byte>(m > kWordBits ? bit : bit % m);
    }
    const std::byte* of_word(int word) const { return positions_ + word * kWordBits; }

  private:
    std::byte positions_[2 * kWordBits];
};

// For m <= kWordBits.
inline PositionBits position_bits(const Pattern& pattern) {
    PositionBits bits;
    const int of_word = kWordBits / pattern.m * pattern.n;
    for (int k = 0; k <= kWordBits; ++k) {
        const bool is_used = k < of_word;
        bits.used[k] = is_used ? 0xff : 0;
        bits.first[k] = static_cast<std::uint8_t>(is_used ? k / pattern.n * pattern.m
                                                          : kWordBits + k - of_word);
    }
    return bits;
}

// All kept positions, and as many dropped ones as n leaves room for, lowest first.
class FilledWords {
  public:
    FilledWords(std::uint64_t first, std::uint64_t second)
        : kept_{first, second}, chosen_{first, second} {}

    // Fills up the group that begins at a bit; returns false if it keeps more than n.
    bool fill(int begin, const Pattern& pattern) {
        int missing = pattern.n;
        for (int w = 0; w < 2; ++w) missing -= std::popcount(kept_[w] & part(w, begin, pattern.m));
        if (missing < 0) return false;
        for (int w = 0; missing > 0; ++w) {
            std::uint64_t dropped = ~kept_[w] & part(w, begin, pattern.m);
            for (; missing > 0 && dropped != 0; --missing, dropped &= dropped - 1)
                chosen_[w] |= dropped & -dropped;
        }
        return true;
    }

    std::uint64_t word(int w) const { return chosen_[w]; }

    template <class Visit>
    void for_each_added(const Visit& visit) const {
        for (int w = 0; w < 2; ++w)
            for (std::uint64_t left = chosen_[w] & ~kept_[w]; left != 0; left &= left - 1)
                visit(w * kWordBits + std::countr_zero(left));
    }

  private:
    // The bits of a word that belong to the group.
    static std::uint64_t part(int w, int begin, int m) {
        const int first = begin - w * kWordBits, end = std::min(first + m, kWordBits);
        if (end <= 0) return 0;
        const std::uint64_t below_end = ~std::uint64_t{0} >> (kWordBits - end);
        return first > 0 ? below_end >> first << first : below_end;
    }

    std::uint64_t kept_[2], chosen_[2];
};

}  // namespace tnm
