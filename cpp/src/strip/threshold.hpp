// Keeping what is worth more than its two prices, exactly, and counting what that keeps.
#pragma once

#include "strip/price_sweeps.hpp"
#include "strip/quantize.hpp"

namespace tnm::TNM_ISA {

// Which lanes of each row are kept, and how many in each column.
struct alignas(64) ThresholdedStrip {
    std::uint64_t kept[kLargestStripM];
    std::uint64_t undecided[kLargestStripM];
    std::int16_t column_counts[kStripColumns];
};

template <int kM>
inline void compare_int16(const QuantizedStrip& strip, const StripPrices& prices,
                          ThresholdedStrip& result) {
    for (int i = 0; i < kM; ++i) result.kept[i] = result.undecided[i] = 0;
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
                         clamp(broadcast<kM, i>(prices.rows, first) + column_prices, kPriceBound)),
             ...);
        }(std::make_index_sequence<kM>{});
        store(result.column_counts + first, counts);
    }
}

// A score that rounds to the very sum of its prices, or like that sum was clamped. The comparison
// in double is exact, because the sum is an integer of 16 bits times a power of two.
template <int kM, class T>
inline void decide_exactly(const T* scores, const QuantizedStrip& strip, const StripPrices& prices,
                           ThresholdedStrip& result) {
    for (int i = 0; i < kM; ++i) {
        for (std::uint64_t rest = result.undecided[i]; rest != 0; rest &= rest - 1) {
            const int c = __builtin_ctzll(rest);
            const int price = prices.rows[c / kM * kM + i] + prices.columns[c];
            if (static_cast<double>(scores[i * kStripColumns + c]) > price * strip.unit[c]) {
                result.kept[i] |= std::uint64_t{1} << c;
                ++result.column_counts[c];
            }
        }
    }
}

template <int kM, class T>
inline void threshold(const T* scores, const QuantizedStrip& strip, const StripPrices& prices,
                      ThresholdedStrip& result) {
    compare_int16<kM>(strip, prices, result);
    decide_exactly<kM>(scores, strip, prices, result);
}

// Popcount of every field of kM bits, each in the lowest bits of its field.
template <int kM>
inline std::uint64_t field_counts(std::uint64_t bits) {
    bits -= bits >> 1 & 0x5555555555555555ULL;
    bits = (bits & 0x3333333333333333ULL) + (bits >> 2 & 0x3333333333333333ULL);
    bits = (bits + (bits >> 4)) & 0x0f0f0f0f0f0f0f0fULL;
    if constexpr (kM >= 16) bits = (bits + (bits >> 8)) & 0x00ff00ff00ff00ffULL;
    if constexpr (kM >= 32) bits = (bits + (bits >> 16)) & 0x0000ffff0000ffffULL;
    if constexpr (kM >= 64) bits = (bits + (bits >> 32)) & 0x00000000ffffffffULL;
    return bits;
}

template <int kM>
inline constexpr std::uint64_t kFieldMask = kM == 64 ? ~std::uint64_t{0}
                                                     : (std::uint64_t{1} << (kM % 64)) - 1;

// The lowest bit of every field.
template <int kM>
constexpr std::uint64_t field_units() {
    std::uint64_t units = 0;
    for (int c = 0; c < kStripColumns; c += kM) units |= std::uint64_t{1} << c;
    return units;
}

// Bit g of the result is set if some bit of field g is.
template <int kM>
inline std::uint64_t any_in_field(std::uint64_t bits) {
    std::uint64_t tiles = 0;
    for (int tile = 0; tile < kStripColumns / kM; ++tile)
        tiles |= static_cast<std::uint64_t>((bits >> (tile * kM) & kFieldMask<kM>) != 0) << tile;
    return tiles;
}

// Bit g is set if some row or column of tile g does not keep exactly n.
template <int kM>
inline std::uint64_t unbalanced_tiles(const ThresholdedStrip& strip, int n) {
    const std::uint64_t expected = field_units<kM>() * static_cast<std::uint64_t>(n);
    std::uint64_t wrong = 0;
    for (int i = 0; i < kM; ++i) wrong |= field_counts<kM>(strip.kept[i]) ^ expected;
    for (int first = 0; first < kStripColumns; first += kLanes<Int16s>) {
        const Int16s counts = load<Int16s>(strip.column_counts + first);
        wrong |= bits_of(counts != static_cast<std::int16_t>(n)) << first;
    }
    return any_in_field<kM>(wrong);
}

}  // namespace tnm::TNM_ISA
