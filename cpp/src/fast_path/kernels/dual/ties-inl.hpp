// Tiles with many equal scores: zeros, small integers, constants.
//
// There half of the entries may cost exactly their two prices ("tight"), the threshold keeps none
// of them, and one augmenting path for each would take for ever. So prices are put on a lattice on
// which ties stay exact, tight entries are read off as bits, rows take them greedily, and bit-set
// searches over tight entries mend most of what is left. Nothing here moves a price: complementary
// slackness holds throughout, and what remains missing is left to shortest augmenting paths.
#pragma once

#include "fast_path/kernels/dual/price_sweeps-inl.hpp"
#include "fast_path/kernels/dual/quantize-inl.hpp"
#include "fast_path/kernels/dual/threshold-inl.hpp"

namespace tnm::TNM_ISA {

// Bit c of exact[i] is set if entry (i, c) lost nothing to rounding and clamping.
template <int kW, class T>
inline void find_exact_entries(const T* scores, const QuantizedStrip& strip, std::uint64_t* exact) {
    using Vector = typename ScoreTraits<T>::Vector;
    alignas(64) T unit[kStripColumns], restored[kStripColumns];
    for (int c = 0; c < kStripColumns; ++c) unit[c] = static_cast<T>(strip.unit[c]);
    for (int i = 0; i < kW; ++i) {
        const std::int16_t* quantized = strip.by_row + i * kStripColumns;
        for (int c = 0; c < kStripColumns; ++c)
            restored[c] = static_cast<T>(quantized[c]) * unit[c];
        exact[i] = 0;
        for (int c = 0; c < kStripColumns; c += kLanes<Vector>) {
            const Vector score = load<Vector>(scores + i * kStripColumns + c);
            exact[i] |= bits_of(score == load<Vector>(restored + c)) << c;
        }
    }
}

// For every lane the bits that prices on its tile's lattice may have: if no entry of the tile was
// rounded, the lattice is the largest power of two that divides all of them.
template <int kW>
inline void find_lattices(const QuantizedStrip& strip, const std::uint64_t* exact, int m,
                          std::int16_t* price_bits) {
    alignas(64) std::int16_t lane_bits[kStripColumns] = {};
    std::uint64_t exact_lanes = ~std::uint64_t{0};
    for (int i = 0; i < kW && i < m; ++i) {
        exact_lanes &= exact[i];
        for (int c = 0; c < kStripColumns; ++c)
            lane_bits[c] =
                static_cast<std::int16_t>(lane_bits[c] | strip.by_row[i * kStripColumns + c]);
    }
    for (int tile = 0; tile < kStripColumns; tile += kW) {
        unsigned bits = 0;
        const std::uint64_t all_exact = exact_lanes >> tile;
        for (int j = 0; j < m; ++j) bits |= static_cast<std::uint16_t>(lane_bits[tile + j]);
        const std::uint64_t entries = ~std::uint64_t{0} >> (64 - m);
        int lattice = -1;  // all bits
        if ((all_exact & entries) == entries)
            lattice = bits == 0 ? 0 : -static_cast<int>(bits & (~bits + 1));
        for (int lane = 0; lane < kW; ++lane)
            price_bits[tile + lane] = static_cast<std::int16_t>(lattice);
    }
}

// Bit g is set if the prices of tile g are on a lattice coarser than the integers.
template <int kW>
inline std::uint64_t tiles_on_lattice(const std::int16_t* price_bits) {
    std::uint64_t tiles = 0;
    for (int first = 0; first < kStripColumns; first += kW)
        tiles |= static_cast<std::uint64_t>(price_bits[first] != -1) << (first / kW);
    return tiles;
}

// The n-th largest itself, so that what ties with it is tight.
template <int kW>
inline void sweep_side_to_nth(const std::int16_t* lines, const std::int16_t* other_prices,
                              const std::int16_t* real_lanes, const std::int16_t* price_bits, int n,
                              std::int16_t* prices) {
    for (int first = 0; first < kStripColumns; first += kLanes<Int16s>) {
        Int16s values[kW];
        subtract_prices<kW>(lines, other_prices, first, values);
        const Int16s nth = select_neighbours<kW>(values, n).upper;
        const Int16s bound = splat<Int16s>(kPriceBound) & load<Int16s>(price_bits + first);
        Int16s price = maximum(minimum(nth, bound), -bound);
        if (real_lanes != nullptr) price &= load<Int16s>(real_lanes + first);
        store(prices + first, price);
    }
}

inline bool sums_may_be_clamped(const StripPrices& prices) {
    int row = 0, column = 0;
    for (int c = 0; c < kStripColumns; ++c) {
        const int r = prices.rows[c] < 0 ? -prices.rows[c] : prices.rows[c];
        const int k = prices.columns[c] < 0 ? -prices.columns[c] : prices.columns[c];
        row = r > row ? r : row;
        column = k > column ? k : column;
    }
    return row + column > kPriceBound;
}

// A sum of prices that had to be clamped is not what the entry was compared with.
template <int kW>
inline void forget_clamped(const StripPrices& prices, std::uint64_t* tight) {
    for (int c = 0; c < kStripColumns; ++c)
        for (int i = 0; i < kW; ++i) {
            const int price = prices.rows[c / kW * kW + i] + prices.columns[c];
            const bool clamped = price > kPriceBound || price < -kPriceBound;
            tight[i] &= ~(static_cast<std::uint64_t>(clamped) << c);
        }
}

// Like threshold(), but entries that cost exactly their prices end up in result.undecided.
template <int kW, class T>
inline void threshold_with_ties(const T* scores, const QuantizedStrip& strip,
                                const StripPrices& prices, const std::uint64_t* exact,
                                ThresholdedStrip& result) {
    compare_int16<kW>(strip, prices, result);
    std::uint64_t tight[kW];
    for (int i = 0; i < kW; ++i) tight[i] = result.undecided[i] & exact[i];
    if (sums_may_be_clamped(prices)) forget_clamped<kW>(prices, tight);
    for (int i = 0; i < kW; ++i) result.undecided[i] &= ~tight[i];
    decide_exactly<kW>(scores, strip, prices, result);
    for (int i = 0; i < kW; ++i) result.undecided[i] = tight[i];
}

}  // namespace tnm::TNM_ISA
