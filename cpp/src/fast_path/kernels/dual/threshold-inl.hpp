// Keeping what is worth more than its two prices, exactly, and counting what that keeps.
#pragma once

#include "fast_path/kernels/dual/field_bits-inl.hpp"
#include "fast_path/kernels/dual/price_sweeps-inl.hpp"
#include "fast_path/kernels/dual/quantize-inl.hpp"

namespace tnm::TNM_ISA {

// Which lanes of each row are kept, and how many in each column.
struct alignas(64) ThresholdedStrip {
    std::uint64_t kept[kLargestStripM];
    std::uint64_t undecided[kLargestStripM];
    std::int16_t column_counts[kStripColumns];
};

template <int kW>
inline void compare_int16(const QuantizedStrip& strip, const StripPrices& prices,
                          ThresholdedStrip& result) {
    for (int i = 0; i < kW; ++i) result.kept[i] = result.undecided[i] = 0;
    for (int first = 0; first < kStripColumns; first += kLanes<Int16s>) {
        const Int16s column_prices = load<Int16s>(prices.columns + first);
        Int16s counts{};
        [&]<std::size_t... i>(std::index_sequence<i...>) __attribute__((always_inline)) {
            const auto compare_row = [&](int row, Int16s price) __attribute__((always_inline)) {
                const Int16s score = load<Int16s>(strip.by_row + row * kStripColumns + first);
                const Int16s above = score > price;
                counts -= above;
                result.kept[row] |= bits_of(above) << first;
                result.undecided[row] |= bits_of(score == price) << first;
            };
            (compare_row(static_cast<int>(i),
                         clamp(broadcast<kW, i>(prices.rows, first) + column_prices, kPriceBound)),
             ...);
        }(std::make_index_sequence<kW>{});
        store(result.column_counts + first, counts);
    }
}

// A score that rounds to the very sum of its prices, or like that sum was clamped. The comparison
// in double is exact, because the sum is an integer of 16 bits times a power of two.
template <int kW, class T>
inline void decide_exactly(const T* scores, const QuantizedStrip& strip, const StripPrices& prices,
                           ThresholdedStrip& result) {
    for (int i = 0; i < kW; ++i) {
        for (std::uint64_t rest = result.undecided[i]; rest != 0; rest &= rest - 1) {
            const int c = __builtin_ctzll(rest);
            const int price = prices.rows[c / kW * kW + i] + prices.columns[c];
            if (static_cast<double>(scores[i * kStripColumns + c]) > price * strip.unit[c]) {
                result.kept[i] |= std::uint64_t{1} << c;
                ++result.column_counts[c];
            }
        }
    }
}

// Bit g of the result is set if some bit of field g is.
template <int kW>
inline std::uint64_t any_in_field(std::uint64_t bits) {
    std::uint64_t tiles = 0;
    for (int tile = 0; tile < kStripColumns / kW; ++tile)
        tiles |= static_cast<std::uint64_t>((bits >> (tile * kW) & kFieldMask<kW>) != 0) << tile;
    return tiles;
}

// Bit g is set if some row or column of tile g does not keep exactly n.
template <int kW>
inline std::uint64_t unbalanced_tiles(const ThresholdedStrip& strip, Pattern pattern) {
    const std::uint64_t expected = field_units<kW>() * static_cast<std::uint64_t>(pattern.n);
    std::uint64_t wrong = 0, wrong_columns = 0;
    for (int i = 0; i < pattern.m; ++i) wrong |= field_counts<kW>(strip.kept[i]) ^ expected;
    for (int first = 0; first < kStripColumns; first += kLanes<Int16s>) {
        const Int16s counts = load<Int16s>(strip.column_counts + first);
        wrong_columns |= bits_of(counts != static_cast<std::int16_t>(pattern.n)) << first;
    }
    const std::uint64_t real = field_units<kW>() * (~std::uint64_t{0} >> (64 - pattern.m));
    return any_in_field<kW>(wrong | (wrong_columns & real));
}

// Tiles in which so many entries cost just about their prices that deciding one after another, and
// searching for one path after another, would be slow.
template <int kW>
inline std::uint64_t tied_tiles(const ThresholdedStrip& strip, int m) {
    const int many = m / 4 + 2;
    int entries = 0;
    for (int i = 0; i < m; ++i) entries += popcount(strip.undecided[i]);
    if (entries < many) return 0;
    std::uint64_t tied = 0;
    for (int tile = 0; tile < kStripColumns / kW; ++tile) {
        entries = 0;
        for (int i = 0; i < m; ++i)
            entries += popcount(strip.undecided[i] >> (tile * kW) & kFieldMask<kW>);
        if (entries >= many) tied |= std::uint64_t{1} << tile;
    }
    return tied;
}

// Returns the tied tiles, whose masks are not decided.
template <int kW, class T>
inline std::uint64_t threshold(const T* scores, const QuantizedStrip& strip,
                               const StripPrices& prices, int m, ThresholdedStrip& result) {
    compare_int16<kW>(strip, prices, result);
    const std::uint64_t tied = tied_tiles<kW>(result, m);
    for (std::uint64_t rest = tied; rest != 0; rest &= rest - 1)
        for (int i = 0; i < kW; ++i)
            result.undecided[i] &= ~(kFieldMask<kW> << (__builtin_ctzll(rest) * kW));
    decide_exactly<kW>(scores, strip, prices, result);
    return tied;
}

}  // namespace tnm::TNM_ISA
