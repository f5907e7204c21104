// Complementary slackness, and what is kept, of many tiles at once: lanes are columns.
//
// Nothing is rounded: every sum of two comes with its error (Knuth's two-sum). The order of sums
// does not depend on the width of a vector.
#pragma once

#include "proof/kernels/exact_sums-inl.hpp"
#include "simd/vectors-inl.hpp"
#include "tiles/tiles_in_lanes.hpp"

namespace tnm::TNM_ISA {

// The price of row i of each lane's tile.
template <int kWidth>
inline __attribute__((always_inline)) Doubles row_prices(const double* prices, int first, int i) {
    if constexpr (kWidth >= kLanes<Doubles>)
        return splat<Doubles>(prices[first / kWidth * kWidth + i]);
    else
        return [&]<std::size_t... l>(std::index_sequence<l...>) __attribute__((always_inline)) {
            return Doubles{prices[first + static_cast<int>(l) / kWidth * kWidth + i]...};
        }(std::make_index_sequence<kLanes<Doubles>>{});
}

// All bits of the lanes that are kept.
inline __attribute__((always_inline)) Int64s kept_lanes(std::uint64_t row, int first) {
    return [&]<std::size_t... l>(std::index_sequence<l...>) __attribute__((always_inline)) {
        constexpr Int64s kBits{(std::int64_t{1} << l)...};
        const Int64s bits = splat<Int64s>(static_cast<std::int64_t>(row >> first));
        return (bits & kBits) == kBits;
    }(std::make_index_sequence<kLanes<Doubles>>{});
}

// How many bits are set in each field of kWidth bits.
template <int kWidth>
constexpr std::uint64_t field_sums(std::uint64_t bits) {
    for (int half = 1; half < kWidth; half *= 2) {
        const std::uint64_t lower = ~std::uint64_t{0} / ((std::uint64_t{1} << half) + 1);
        bits = (bits & lower) + (bits >> half & lower);
    }
    return bits;
}

// Set somewhere in the field of each tile that keeps other than n in some row.
template <int kWidth, class T>
inline std::uint64_t miscounted_rows(const TilesInLanes<T>& tiles) {
    constexpr std::uint64_t kOnes = ~std::uint64_t{0} / (~std::uint64_t{0} >> (64 - kWidth));
    const std::uint64_t expected = kOnes * static_cast<std::uint64_t>(tiles.pattern.n);
    std::uint64_t wrong = 0;
    for (int i = 0; i < tiles.pattern.m; ++i) wrong |= field_sums<kWidth>(tiles.kept[i]) ^ expected;
    return wrong;
}

// The sums of what lanes keep, and whether all their entries agree with their prices.
struct alignas(64) LaneProofs {
    double sum[64], rest[64];
    std::uint64_t refuted = 0;
};

template <int kWidth, class T>
inline void prove_lanes(const TilesInLanes<T>& tiles, int first, LaneProofs& lanes) {
    const Doubles column_prices = load_doubles(tiles.column_prices + first);
    const Int64s sign = splat<Int64s>(std::int64_t{1} << 63);
    Int64s refuted{}, minus_count{};
    ExactSum<Doubles> kept_sum{};
    for (int i = 0; i < tiles.pattern.m; ++i) {
        const Doubles score = load_doubles(tiles.scores + i * tiles.kCount + first);
        const Int64s kept = kept_lanes(tiles.kept[i], first);
        const Doubles surplus =
            subtract(score, row_prices<kWidth>(tiles.row_prices, first, i), column_prices);
        // Written so that NaN refutes.
        refuted |= ~(reinterpret_cast<Doubles>(reinterpret_cast<Int64s>(surplus) ^ (kept & sign)) <=
                     Doubles{});
        kept_sum.add(reinterpret_cast<Doubles>(reinterpret_cast<Int64s>(score) & kept));
        minus_count += kept;
    }
    refuted |= minus_count != -tiles.pattern.n;
    store(lanes.sum + first, kept_sum.sum);
    store(lanes.rest + first, kept_sum.rest);
    lanes.refuted |= bits_of(refuted) << first;
}

template <int kWidth, class T>
std::uint64_t prove_fields(const TilesInLanes<T>& tiles, double* totals) {
    LaneProofs lanes;
    for (int first = 0; first < tiles.tiles * kWidth; first += kLanes<Doubles>)
        prove_lanes<kWidth>(tiles, first, lanes);
    constexpr std::uint64_t kField = ~std::uint64_t{0} >> (64 - kWidth);
    const std::uint64_t columns = ~std::uint64_t{0} >> (64 - tiles.pattern.m);
    const std::uint64_t miscounted = miscounted_rows<kWidth>(tiles);
    std::uint64_t proven = 0;
    for (int t = 0; t < tiles.tiles; ++t) {
        totals[t] = add_up<kWidth>(lanes.sum + t * kWidth, lanes.rest + t * kWidth);
        const bool holds = (lanes.refuted >> t * kWidth & columns) == 0 &&
                           (miscounted >> t * kWidth & kField) == 0 &&
                           __builtin_fabs(totals[t]) <= __DBL_MAX__;
        proven |= static_cast<std::uint64_t>(holds) << t;
    }
    return proven;
}

template <class T>
std::uint64_t prove_tiles(const TilesInLanes<T>& tiles, double* totals) {
    switch (tiles.width) {
        case 4:
            return prove_fields<4>(tiles, totals);
        case 8:
            return prove_fields<8>(tiles, totals);
        case 16:
            return prove_fields<16>(tiles, totals);
        case 32:
            return prove_fields<32>(tiles, totals);
        default:
            return prove_fields<64>(tiles, totals);
    }
}

}  // namespace tnm::TNM_ISA
