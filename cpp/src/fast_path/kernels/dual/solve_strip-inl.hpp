// One strip, from scores to mask.
#pragma once

#include "fast_path/kernels/dual/augment-inl.hpp"
#include "fast_path/kernels/dual/fill_tight-inl.hpp"
#include "fast_path/kernels/dual/price_sweeps-inl.hpp"
#include "fast_path/kernels/dual/quantize-inl.hpp"
#include "fast_path/kernels/dual/scatter_ties-inl.hpp"
#include "fast_path/kernels/dual/threshold-inl.hpp"
#include "fast_path/kernels/dual/ties-inl.hpp"
#include "fast_path/kernels/dual/transpose-inl.hpp"
#include "fast_path/kernels/dual/wide-inl.hpp"

namespace tnm::TNM_ISA {

// Prices of a strip with what the threshold made of them.
template <class Price>
struct Proposal {
    const PricesOf<Price>& prices;
    const double* unit;
    const ThresholdedStrip& thresholded;
};

// What the stages of one strip hand to each other.
struct StripState {
    QuantizedStrip quantized;
    StripPrices prices;
    ThresholdedStrip thresholded;
    alignas(64) std::int16_t real_lanes[kStripColumns];

    Proposal<std::int16_t> proposal() const { return {prices, quantized.unit, thresholded}; }
};

// Whether many units may go over the same entries.
enum class Ties { few, many };

template <int kW, Ties kTies, class T, class Price>
inline bool balance_tile(const T* scores, int tile, Pattern pattern,
                         const Proposal<Price>& proposal, int limit, StripSolution& solution) {
    const int first = tile * kW, m = pattern.m;
    TileAugmenter<kW, T> augmenter(scores, first, pattern, proposal.thresholded, proposal.prices,
                                   proposal.unit[first]);
    const bool balanced =
        kTies == Ties::many ? augmenter.balance_ties(limit) : augmenter.balance(limit);
    if (!balanced) return false;
    for (int k = 0; k < m; ++k) {
        solution.kept[k] = (solution.kept[k] & ~(kFieldMask<kW> << first)) | augmenter.kept(k)
                                                                                 << first;
    }
    if (!solution.wants_prices) return true;
    for (int k = 0; k < m; ++k) {
        solution.row_prices[first + k] = augmenter.row_price(k);
        solution.column_prices[first + k] = augmenter.column_price(k);
    }
    return true;
}

// Leaves tiles to the general solver from which more than `limit` units are missing.
template <int kW, Ties kTies, class T, class Price>
inline void balance_tiles(const T* scores, std::uint64_t tiles, Pattern pattern,
                          const Proposal<Price>& proposal, int limit, StripSolution& solution) {
    for (; tiles != 0; tiles &= tiles - 1) {
        const int tile = __builtin_ctzll(tiles);
        if (!balance_tile<kW, kTies>(scores, tile, pattern, proposal, limit, solution))
            solution.unsolved |= std::uint64_t{1} << tile;
    }
}

// Copies mask and prices of the given tiles from the threshold's result.
template <int kW, class Price>
inline void accept(const Proposal<Price>& proposal, std::uint64_t lanes, StripSolution& solution) {
    for (int i = 0; i < kW; ++i)
        solution.kept[i] = (solution.kept[i] & ~lanes) | (proposal.thresholded.kept[i] & lanes);
    if (!solution.wants_prices) return;
    for (int c = 0; c < kStripColumns; ++c) {
        if ((lanes >> c & 1) == 0) continue;
        solution.row_prices[c] = proposal.prices.rows[c] * proposal.unit[c];
        solution.column_prices[c] = proposal.prices.columns[c] * proposal.unit[c];
    }
}

// A second attempt at the tiles in `tiles`, which have many ties or miss too many units.
template <int kW, bool kPadded, class T>
__attribute__((noinline)) void solve_tied_tiles(const T* scores, std::uint64_t tiles,
                                                Pattern pattern, StripState& state,
                                                StripSolution& solution) {
    std::uint64_t exact[kW];
    alignas(64) std::int16_t price_bits[kStripColumns];
    const std::int16_t* real_lanes = kPadded ? state.real_lanes : nullptr;
    QuantizedStrip& strip = state.quantized;
    StripPrices& prices = state.prices;
    find_exact_entries<kW>(scores, strip, exact);
    find_lattices<kW>(strip, exact, pattern.m, price_bits);
    for (int c = 0; c < kStripColumns; ++c)
        prices.columns[c] = static_cast<std::int16_t>(prices.columns[c] & price_bits[c]);
    sweep_side_to_nth<kW>(strip.by_column, prices.columns, real_lanes, price_bits, pattern.n,
                          prices.rows);
    sweep_side_to_nth<kW>(strip.by_row, prices.rows, real_lanes, price_bits, pattern.n,
                          prices.columns);
    threshold_with_ties<kW>(scores, strip, prices, exact, state.thresholded);

    fill_tight<kW>(tiles, pattern, state.thresholded);
    accept<kW>(state.proposal(), lanes_of_tiles<kW>(tiles), solution);
    solution.unsolved &= ~tiles;
    const std::uint64_t unbalanced = unbalanced_tiles<kW>(state.thresholded, pattern) & tiles;
    const std::uint64_t on_lattice = tiles_on_lattice<kW>(price_bits);
    // On a lattice many units go with every search; elsewhere few do, and the general solver, which
    // starts from better prices, is quicker when many are missing.
    balance_tiles<kW, Ties::many>(scores, unbalanced & on_lattice, pattern, state.proposal(),
                                  pattern.m * pattern.m, solution);
    balance_tiles<kW, Ties::many>(scores, unbalanced & ~on_lattice, pattern, state.proposal(),
                                  2 * pattern.m, solution);
}

// Tiles for which 16 bits are too few.
template <int kW, int kN, class T>
__attribute__((noinline)) void solve_wide_tiles(const StripScores<T>& scores, std::uint64_t tiles,
                                                Pattern pattern, StripSolution& solution) {
    WideStrip strip;
    scale_to_floats<kW>(scores, pattern, strip);
    propose_float_prices<kW, kN>(pattern, strip);
    threshold_in_double<kW>(scores.values, pattern, strip);
    const Proposal<float> proposal{strip.prices, strip.unit, strip.thresholded};
    accept<kW>(proposal, lanes_of_tiles<kW>(tiles), solution);
    balance_tiles<kW, Ties::many>(scores.values,
                                  unbalanced_tiles<kW>(strip.thresholded, pattern) & tiles, pattern,
                                  proposal, pattern.m * pattern.m, solution);
}

// Tiles for which 16 bits are enough; `scores` are what strip.by_row was made from.
template <int kW, bool kPadded, int kN, class T>
inline void solve_quantized_tiles(const T* scores, std::uint64_t tiles, Pattern pattern,
                                  Prefetcher prefetcher, StripState& state,
                                  StripSolution& solution) {
    QuantizedStrip& strip = state.quantized;
    start_from_column_means<kW>(strip.by_row, state.prices.columns);
    if constexpr (kPadded) {
        mark_real_lanes<kW>(pattern.m, state.real_lanes);
        exclude_padding<kW>(pattern.m, state.real_lanes, strip.by_row);
    }
    transpose_tiles<kW>(strip.by_row, strip.by_column);
    propose_prices<kW, kN>(strip, kPadded ? state.real_lanes : nullptr, pattern.n, prefetcher,
                           state.prices);
    solution.unsolved =
        threshold<kW>(scores, strip, state.prices, pattern.m, state.thresholded) & tiles;

    accept<kW>(state.proposal(), ~std::uint64_t{0}, solution);
    const std::uint64_t unbalanced = unbalanced_tiles<kW>(state.thresholded, pattern) & tiles;
    balance_tiles<kW, Ties::few>(scores, unbalanced & ~solution.unsolved, pattern, state.proposal(),
                                 pattern.m / 2, solution);
    if (solution.unsolved != 0)
        solve_tied_tiles<kW, kPadded>(scores, solution.unsolved, pattern, state, solution);
}

// Solves the same with the ties of some tiles scattered first.
template <int kW, bool kPadded, int kN, class T>
__attribute__((noinline)) void solve_scattered_tiles(const T* scores, std::uint64_t tiles,
                                                     Pattern pattern, Prefetcher prefetcher,
                                                     StripState& state, StripSolution& solution) {
    QuantizedStrip& strip = state.quantized;
    std::uint64_t exact[kW];
    alignas(64) std::int16_t price_bits[kStripColumns];
    alignas(64) T scattered[kW * kStripColumns];
    find_exact_entries<kW>(scores, strip, exact);
    find_lattices<kW>(strip, exact, pattern.m, price_bits);
    std::uint64_t coarse = scatterable_tiles<kW>(strip, price_bits, pattern.m) & tiles;
    if (coarse != 0) scatter<kW>(scores, price_bits, lanes_of_tiles<kW>(coarse), strip, scattered);
    solve_quantized_tiles<kW, kPadded, kN>(coarse != 0 ? scattered : scores, tiles, pattern,
                                           prefetcher, state, solution);
    if (!solution.wants_prices) return;
    for (; coarse != 0; coarse &= coarse - 1) {
        const int first = __builtin_ctzll(coarse) * kW;
        gather_prices<kW>(pattern.m, price_bits[first], strip.unit[first],
                          solution.row_prices + first, solution.column_prices + first);
    }
}

// kPadded: m is smaller than the field. kN: n if known at compile time, else 0.
template <int kW, bool kPadded, int kN, class T>
void solve_strip(const StripScores<T>& scores, Pattern pattern, Prefetcher prefetcher,
                 StripSolution& solution) {
    StripState state;
    quantize<kW>(scores, pattern, state.quantized);
    solution.out_of_range = any_in_field<kW>(state.quantized.out_of_range);
    solution.unsolved = 0;
    const std::uint64_t wide = any_in_field<kW>(state.quantized.wide) & solution.tiles;
    const std::uint64_t quantized = solution.tiles & ~wide & ~solution.out_of_range;
    bool done = wide == solution.tiles;
    if constexpr (kScattersTies<kW>)
        if (!done && may_be_on_lattice<kW>(state.quantized)) {
            solve_scattered_tiles<kW, kPadded, kN>(scores.values, quantized, pattern, prefetcher,
                                                   state, solution);
            done = true;
        }
    if (!done)
        solve_quantized_tiles<kW, kPadded, kN>(scores.values, quantized, pattern, prefetcher, state,
                                               solution);
    if (wide != 0) solve_wide_tiles<kW, kN>(scores, wide, pattern, solution);
    solution.unsolved |= solution.out_of_range & solution.tiles;
}

}  // namespace tnm::TNM_ISA
