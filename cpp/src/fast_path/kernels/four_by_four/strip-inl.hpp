// The masks of a loaded strip of 4 x 4 tiles, in closed form.
#pragma once

#include "fast_path/kernels/four_by_four/columns-inl.hpp"
#include "fast_path/strip.hpp"
#include "fast_path/strip_kernels.hpp"

namespace tnm::TNM_ISA {

inline constexpr int kTilesOfFour = kStripColumns / 4;

// From four bytes of 0 or 1 to four bits, byte 0 first.
inline std::uint64_t pack_row(std::uint32_t row) {
    return (row * std::uint64_t{0x01020408} >> 24) & 15;
}

// Lane l is tile first + l; for 3:4 negated and with columns from right to left.
template <int kN, class T>
inline void gather_tiles(const T* scores, int first, Doubles (*entry)[4]) {
    constexpr double kSign = kN == 3 ? -1.0 : 1.0;
    for (int i = 0; i < 4; ++i)
        for (int j = 0; j < 4; ++j) {
            const T* source = scores + i * kStripColumns + first * 4 + (kN == 3 ? 3 - j : j);
            entry[i][j] = kSign * [&]<std::size_t... l>(std::index_sequence<l...>) {
                return Doubles{static_cast<double>(source[4 * l])...};
            }(std::make_index_sequence<kLanes<Doubles>>{});
        }
}

template <int kN, class T>
__attribute__((noinline)) void mask_tiles_of_four_exactly(const T* scores, std::uint64_t* kept) {
    for (int i = 0; i < 4; ++i) kept[i] = 0;
    for (int first = 0; first < kTilesOfFour; first += kLanes<Doubles>) {
        Doubles entry[4][4], lead;
        gather_tiles<kN>(scores, first, entry);
        FourRows<Doubles> rows;
        if constexpr (kN == 2)
            rows = two_of_four(entry, &lead);
        else
            rows = one_of_four(entry);
        for (int i = 0; i < 4; ++i)
            for (int lane = 0; lane < kLanes<Doubles>; ++lane) {
                const auto row = static_cast<std::uint32_t>(rows.row[i][lane]);
                const std::uint32_t kept_row = kN == 3 ? kKeepAll ^ __builtin_bswap32(row) : row;
                kept[i] |= pack_row(kept_row) << (4 * (first + lane));
            }
    }
}

// 2:4 from floats; returns false if doubles must decide somewhere.
inline bool mask_tiles_two_of_four(const float* scores, std::uint64_t* kept) {
    constexpr int kCount = kLanes<Floats>;
    Int32s uncertain{};
    for (int i = 0; i < 4; ++i) kept[i] = 0;
    for (int first = 0; first < kTilesOfFour; first += kCount) {
        Floats entry[4][4];
        for (int i = 0; i < 4; ++i) {
            const float* row = scores + i * kStripColumns + first * 4;
            split_columns(load<Floats>(row), load<Floats>(row + kCount),
                          load<Floats>(row + 2 * kCount), load<Floats>(row + 3 * kCount), entry[i]);
        }
        Int32s uncertain_tiles;
        const FourRows<Floats> rows =
            two_of_four_floats<Score::identity>(entry, __builtin_inff(), &uncertain_tiles);
        uncertain |= uncertain_tiles;
        for (int i = 0; i < 4; ++i) {
            const Int32s in_order = in_tile_order<TileOrder::from_words>(rows.row[i]);
            for (int lane = 0; lane < kCount; ++lane)
                kept[i] |= pack_row(static_cast<std::uint32_t>(in_order[lane]))
                           << (4 * (first + lane));
        }
    }
    return bits_of(uncertain) == 0;
}

template <int kN, class T>
void mask_tiles_of_four(const T* scores, Pattern, std::uint64_t* kept) {
    mask_tiles_of_four_exactly<kN>(scores, kept);
}

inline void mask_tiles_floats_first(const float* scores, Pattern, std::uint64_t* kept) {
    if (!mask_tiles_two_of_four(scores, kept)) mask_tiles_of_four_exactly<2>(scores, kept);
}

template <class T>
inline MaskStrip<T> four_by_four_exactly(Pattern pattern) {
    if (pattern.m != 4) return nullptr;
    switch (pattern.n) {
        case 1:
            return mask_tiles_of_four<1, T>;
        case 2:
            return mask_tiles_of_four<2, T>;
        case 3:
            return mask_tiles_of_four<3, T>;
        default:
            return nullptr;
    }
}

template <class T>
inline MaskStrip<T> four_by_four(Pattern pattern, bool exactly) {
    if constexpr (sizeof(T) == sizeof(float))
        if (pattern.n == 2 && pattern.m == 4 && !exactly) return mask_tiles_floats_first;
    return four_by_four_exactly<T>(pattern);
}

}  // namespace tnm::TNM_ISA
