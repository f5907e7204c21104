// The masks of a loaded strip of 4 x 4 tiles, in closed form.
#pragma once

#include "fast_path/kernels/four_by_four/run-inl.hpp"
#include "fast_path/strip.hpp"
#include "fast_path/strip_kernels.hpp"
#include "words/kernels/words-inl.hpp"

namespace tnm::TNM_ISA {

inline constexpr int kTilesOfFour = kStripColumns / 4;

// Lane l is tile first + l.
template <class T>
inline void gather_tiles(const T* scores, int first, Doubles (*entry)[4]) {
    for (int i = 0; i < 4; ++i)
        for (int j = 0; j < 4; ++j) {
            const T* source = scores + i * kStripColumns + first * 4 + j;
            entry[i][j] = [&]<std::size_t... l>(std::index_sequence<l...>) {
                return Doubles{static_cast<double>(source[4 * l])...};
            }(std::make_index_sequence<kLanes<Doubles>>{});
        }
}

// The flags of a strip, as in the mask's memory.
struct alignas(64) FlagsOfFour {
    std::uint8_t row[4][kStripColumns];
};

template <int kN, class T>
__attribute__((noinline)) void mask_strip_exactly(const T* scores, FlagsOfFour& flags) {
    for (int first = 0; first < kTilesOfFour; first += kLanes<Doubles>) {
        Doubles entry[4][4], lead;
        gather_tiles(scores, first, entry);
        const FourRows<Doubles> rows = best_of_four<kN>(entry, &lead);
        for (int i = 0; i < 4; ++i)
            store(reinterpret_cast<std::int32_t*>(flags.row[i] + first * 4),
                  __builtin_convertvector(rows.row[i], HalfInt32s));
    }
}

// Floats come first.
template <int kN, class T>
void mask_strip_of_four(const T* scores, Pattern, std::uint64_t* kept) {
    FlagsOfFour flags;
    bool done = false;
    if constexpr (sizeof(T) == sizeof(float))
        done = mask_certain_strips<kN, Dtype::float32, Score::identity, false>(
                   reinterpret_cast<const std::byte*>(scores), kStripColumns * sizeof(T), 1,
                   flags.row[0], kStripColumns) == 1;
    if (!done) mask_strip_exactly<kN>(scores, flags);
    for (int i = 0; i < 4; ++i) kept[i] = word_of_flags(flags.row[i]);
}

template <class T>
inline MaskStrip<T> four_by_four(Pattern pattern) {
    if (pattern.m != 4) return nullptr;
    return pattern.n == 1   ? mask_strip_of_four<1, T>
           : pattern.n == 2 ? mask_strip_of_four<2, T>
                            : mask_strip_of_four<3, T>;
}

}  // namespace tnm::TNM_ISA
