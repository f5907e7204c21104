// Complementary slackness, and what is kept, of many tiles at once: lanes are columns.
//
// Most entries differ from their prices by so much that floats tell. Where some do not, all entries
// of these lanes are compared without rounding. Sums are never rounded but at their end, and their
// order does not depend on the width of a vector.
#pragma once

#include "proof/kernels/exact_sums-inl.hpp"
#include "simd/vectors-inl.hpp"
#include "tiles/tiles_in_lanes.hpp"

namespace tnm::TNM_ISA {

inline constexpr int kTileLanes = TilesInLanes<float>::kCount;

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

// Calls visit(i, prices of row i of each lane's tile) for every row.
template <int kWidth, class Vector, class T, class Visit>
inline __attribute__((always_inline)) void for_rows(const T* prices, int first, int m,
                                                    const Visit& visit) {
    constexpr int kCount = kLanes<Vector>;
    if constexpr (kWidth >= kCount) {
        const T* of_tile = prices + first / kWidth * kWidth;
        for (int i = 0; i < m; ++i) visit(i, splat<Vector>(of_tile[i]));
    } else {
        const Vector all = load<Vector>(prices + first);
        const auto visit_row =
            [&]<int i, std::size_t... l>(std::index_sequence<l...>) __attribute__((always_inline)) {
                if (i < m)
                    visit(i, __builtin_shufflevector(all, all, (l / kWidth * kWidth + i)...));
            };
        [&]<std::size_t... i>(std::index_sequence<i...>) __attribute__((always_inline)) {
            (visit_row.template operator()<static_cast<int>(i)>(std::make_index_sequence<kCount>{}),
             ...);
        }(std::make_index_sequence<kWidth>{});
    }
}

// All bits of the lanes that are kept.
template <class Mask>
inline __attribute__((always_inline)) Mask kept_lanes(std::uint64_t row, int first) {
    using Lane = std::remove_reference_t<decltype(Mask{}[0])>;
    return [&]<std::size_t... l>(std::index_sequence<l...>) __attribute__((always_inline)) {
        const Mask bit{static_cast<Lane>(1U << l)...};
        return (splat<Mask>(static_cast<Lane>(row >> first)) & bit) == bit;
    }(std::make_index_sequence<kLanes<Mask>>{});
}

// Positive where an entry contradicts its prices: the surplus of what is dropped, and that of what
// is kept, negated.
template <class Vector, class Mask>
inline __attribute__((always_inline)) Vector contradiction(Vector surplus, Mask kept) {
    using Lane = std::remove_reference_t<decltype(Mask{}[0])>;
    constexpr int kSignBit = static_cast<int>(sizeof(Lane)) * 8 - 1;
    return reinterpret_cast<Vector>(reinterpret_cast<Mask>(surplus) ^ (kept << kSignBit));
}

inline __attribute__((always_inline)) Floats join(HalfFloats low, HalfFloats high) {
    return [&]<std::size_t... l>(std::index_sequence<l...>) __attribute__((always_inline)) {
        return __builtin_shufflevector(low, high, l...);
    }(std::make_index_sequence<kLanes<Floats>>{});
}

// A vector's worth of neighbouring numbers: rounded, and in full.
struct Numbers {
    Floats rounded;
    Doubles low, high;
};

inline __attribute__((always_inline)) Numbers load_numbers(const float* source) {
    return {load<Floats>(source), load_doubles(source), load_doubles(source + kLanes<Doubles>)};
}
inline __attribute__((always_inline)) Numbers load_numbers(const double* source) {
    const Doubles low = load_doubles(source), high = load_doubles(source + kLanes<Doubles>);
    return {
        join(__builtin_convertvector(low, HalfFloats), __builtin_convertvector(high, HalfFloats)),
        low, high};
}

// Row prices rounded to floats, and the largest of their magnitudes.
struct alignas(64) RoundedPrices {
    float rows[kTileLanes];
    float largest = 0.0F;
};

inline void round_prices(const double* prices, int end, RoundedPrices& rounded) {
    Floats largest{};
    for (int first = 0; first < end; first += kLanes<Floats>) {
        const Floats rows = load_numbers(prices + first).rounded;
        store(rounded.rows + first, rows);
        largest = maximum(largest, magnitude(rows));
    }
    for (int l = 0; l < kLanes<Floats>; ++l)
        rounded.largest = largest[l] > rounded.largest ? largest[l] : rounded.largest;
}

// From where on the sign of a difference d between a score and its prices u, v is certain, though
// all three and both steps are rounded to 24 bits. With e = 2^-24 that takes at most
// e * (3 |d| + 2 |u| + 3 |v|), and less than 2^-147 where floats are denormal.
inline __attribute__((always_inline)) Floats largest_error(float largest_row_price,
                                                           Floats column_prices) {
    return 0x1p-20F * (largest_row_price + magnitude(column_prices)) + 0x1p-140F;
}

struct alignas(64) LaneProofs {
    double sums[kTileLanes] = {}, rests[kTileLanes] = {};  // of what is kept
    std::uint64_t uncertain = 0;  // lanes with an entry that floats do not tell from its prices
    std::uint64_t refuted = 0;    // that keep other than n, or have an entry that contradicts them
};

template <int kWidth, class T>
inline void prove_lanes(const TilesInLanes<T>& tiles, const RoundedPrices& prices, int first,
                        LaneProofs& lanes) {
    constexpr int kHalf = kLanes<Doubles>;
    const Floats column_prices = load_numbers(tiles.column_prices + first).rounded;
    const Floats certain = -largest_error(prices.largest, column_prices);
    Int32s uncertain{}, minus_count{};
    ExactSum low{}, high{};
    const auto visit_row = [&](int i, Floats row_price) __attribute__((always_inline)) {
        const Numbers scores = load_numbers(tiles.scores + i * kTileLanes + first);
        const Int32s kept = kept_lanes<Int32s>(tiles.kept[i], first);
        // Written so that NaN is uncertain.
        uncertain |= ~(contradiction((scores.rounded - row_price) - column_prices, kept) < certain);
        minus_count += kept;
        low.add_kept(scores.low, kept_lanes<Int64s>(tiles.kept[i], first));
        high.add_kept(scores.high, kept_lanes<Int64s>(tiles.kept[i], first + kHalf));
    };
    for_rows<kWidth, Floats>(prices.rows, first, tiles.pattern.m, visit_row);
    store(lanes.sums + first, low.sum);
    store(lanes.rests + first, low.rest);
    store(lanes.sums + first + kHalf, high.sum);
    store(lanes.rests + first + kHalf, high.rest);
    lanes.uncertain |= bits_of(uncertain) << first;
    lanes.refuted |= bits_of(minus_count != -tiles.pattern.n) << first;
}

// Lanes with an entry that contradicts its prices.
template <int kWidth, class T>
inline std::uint64_t contradicted(const TilesInLanes<T>& tiles, int first) {
    const Doubles column_prices = load_doubles(tiles.column_prices + first);
    Int64s found{};
    for_rows<kWidth, Doubles>(
        tiles.row_prices, first, tiles.pattern.m,
        [&](int i, Doubles row_price) __attribute__((always_inline)) {
            const Doubles surplus = subtract(load_doubles(tiles.scores + i * kTileLanes + first),
                                             row_price, column_prices);
            // Written so that NaN contradicts.
            found |=
                ~(contradiction(surplus, kept_lanes<Int64s>(tiles.kept[i], first)) <= Doubles{});
        });
    return bits_of(found) << first;
}

template <int kWidth, class T>
std::uint64_t prove_fields(const TilesInLanes<T>& tiles, double* totals) {
    constexpr int kStep = kLanes<Doubles>;
    constexpr std::uint64_t kField = ~std::uint64_t{0} >> (64 - kWidth);
    const std::uint64_t columns = ~std::uint64_t{0} >> (64 - tiles.pattern.m);
    const int end = tiles.tiles * kWidth;
    RoundedPrices prices;
    round_prices(tiles.row_prices, end, prices);
    LaneProofs lanes;
    for (int first = 0; first < end; first += kLanes<Floats>)
        prove_lanes<kWidth>(tiles, prices, first, lanes);
    for (int first = 0; first < end; first += kStep)
        if ((lanes.uncertain >> first & ~std::uint64_t{0} >> (64 - kStep)) != 0)
            lanes.refuted |= contradicted<kWidth>(tiles, first);
    add_up_fields<kTileLanes / kWidth, kWidth>(lanes.sums, lanes.rests);
    const std::uint64_t miscounted = miscounted_rows<kWidth>(tiles);
    std::uint64_t proven = 0;
    for (int t = 0; t < tiles.tiles; ++t) {
        totals[t] = lanes.sums[t] + lanes.rests[t];
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
