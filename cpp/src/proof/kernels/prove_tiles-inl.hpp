// Complementary slackness, and what is kept, of many tiles at once: lanes are columns.
//
// Most entries differ from their prices by so much that floats tell. Where some do not, all entries
// of these lanes are compared without rounding. Sums are never rounded but at their end, and their
// order does not depend on the width of a vector.
#pragma once

#include "proof/kernels/exact_sums-inl.hpp"
#include "simd/tiles_in_lanes.hpp"
#include "simd/vectors-inl.hpp"

namespace tnm::TNM_ISA {

inline constexpr int kTileLanes = TilesInLanes<float>::kCount;

// The lowest bit of each field.
template <int kWidth>
inline constexpr std::uint64_t kOneInEach =
    ~std::uint64_t{0} / (~std::uint64_t{0} >> (64 - kWidth));

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
    const std::uint64_t expected = kOneInEach<kWidth> * static_cast<std::uint64_t>(tiles.pattern.n);
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

// Which of neighbouring lanes rows keep.
template <class Mask>
class KeptLanes {
    using Lane = decltype(+Mask{}[0]);

  public:
    explicit KeptLanes(int first) : first_(first) {
        [&]<std::size_t... l>(std::index_sequence<l...>) {
            bits_ = Mask{static_cast<Lane>(Lane{1} << l)...};
        }(std::make_index_sequence<kLanes<Mask>>{});
    }
    // All bits of the lanes that are kept.
    inline __attribute__((always_inline)) Mask operator()(std::uint64_t row) const {
        return (splat<Mask>(static_cast<Lane>(row >> first_)) & bits_) == bits_;
    }

  private:
    const int first_;
    Mask bits_;
};

// The lower or the upper half of the lanes.
template <int kHalf>
inline __attribute__((always_inline)) Doubles widen_half(Floats floats) {
    return [&]<std::size_t... l>(std::index_sequence<l...>) __attribute__((always_inline)) {
        constexpr int kFirst = kHalf * kLanes<Doubles>;
        return widen(__builtin_shufflevector(floats, floats, (kFirst + static_cast<int>(l))...));
    }(std::make_index_sequence<kLanes<Doubles>>{});
}

// What lanes keep, and zero.
template <class T>
inline __attribute__((always_inline)) Doubles kept_scores(const T* scores, Int64s kept) {
    return reinterpret_cast<Doubles>(reinterpret_cast<Int64s>(load_doubles(scores)) & kept);
}

// Positive where an entry contradicts its prices: the surplus of what is dropped, and that of what
// is kept, negated.
template <class Vector, class Mask>
inline __attribute__((always_inline)) Vector contradiction(Vector surplus, Mask kept) {
    using Lane = decltype(+Mask{}[0]);
    constexpr int kSignBit = static_cast<int>(sizeof(Lane)) * 8 - 1;
    return reinterpret_cast<Vector>(reinterpret_cast<Mask>(surplus) ^ (kept << kSignBit));
}

inline __attribute__((always_inline)) Floats load_rounded(const float* source) {
    return load<Floats>(source);
}
inline __attribute__((always_inline)) Floats load_rounded(const double* source) {
    const auto low = __builtin_convertvector(load_doubles(source), HalfFloats);
    const auto high = __builtin_convertvector(load_doubles(source + kLanes<Doubles>), HalfFloats);
    return [&]<std::size_t... l>(std::index_sequence<l...>) __attribute__((always_inline)) {
        return __builtin_shufflevector(low, high, l...);
    }(std::make_index_sequence<kLanes<Floats>>{});
}

// Row prices rounded to floats, and the largest of their magnitudes.
struct alignas(64) RoundedPrices {
    float rows[kTileLanes];
    float largest = 0.0F;
};

inline void round_prices(const double* prices, RoundedPrices& rounded) {
    Floats largest{};
    for (int first = 0; first < kTileLanes; first += kLanes<Floats>) {
        const Floats rows = load_rounded(prices + first);
        store(rounded.rows + first, rows);
        // In this order NaN has no say.
        largest = maximum(magnitude(rows), largest);
    }
    rounded.largest = largest_of_lanes(largest)[0];
}

// From where on the sign of a difference d between a score and its prices u, v is certain, though
// all three and both steps are rounded to 24 bits. With e = 2^-24 that takes at most
// e * (3 |d| + 2 |u| + 3 |v|), and less than 2^-147 where floats are denormal.
inline __attribute__((always_inline)) Floats largest_error(float largest_row_price,
                                                           Floats column_prices) {
    return 0x1p-20F * (largest_row_price + magnitude(column_prices)) + 0x1p-140F;
}

// What tells whether plain sums of doubles are exact, the terms being floats that are kept.
struct KeptSizes {
    using Uint32s = VectorOf<std::uint32_t>::type;

    // Of magnitudes as bits; one less in `smallest`, so that zero has no say.
    Int32s largest{};
    Uint32s smallest = ~Uint32s{};

    inline __attribute__((always_inline)) void measure(Floats scores, Int32s kept) {
        const Int32s size = reinterpret_cast<Int32s>(scores) & kept & 0x7fffffff;
        largest = maximum(largest, size);
        smallest = minimum(smallest, reinterpret_cast<Uint32s>(size) - 1);
    }

    // All terms are multiples of the smallest one's last place, and so are sums of up to `terms` of
    // them, which have no more than 53 bits then.
    bool make_sums_exact(int terms) const {
        const std::int32_t most = largest_of_lanes(largest)[0];
        const std::uint32_t least = smallest_of_lanes(smallest)[0];
        if (most == 0) return true;
        return static_cast<double>(__builtin_bit_cast(float, most)) * terms <=
               static_cast<double>(__builtin_bit_cast(float, least + 1)) * 0x1p29;
    }
};

struct alignas(64) LaneProofs {
    double sums[kTileLanes], rests[kTileLanes];  // of what is kept
    // Lanes that keep other than n, or have an entry that contradicts its prices.
    std::uint64_t refuted = 0;
};

// Returns the lanes with an entry that floats do not tell from its prices.
template <int kWidth, class T>
inline __attribute__((always_inline)) std::uint64_t prove_lanes(const TilesInLanes<T>& tiles,
                                                                const RoundedPrices& prices,
                                                                int first, LaneProofs& lanes,
                                                                KeptSizes& sizes) {
    const Floats column_prices = load_rounded(tiles.column_prices + first);
    const Floats certain = -largest_error(prices.largest, column_prices);
    Int32s uncertain{}, minus_count{};
    const KeptLanes<Int32s> lanes_of(first);
    Doubles low{}, high{};
    const auto visit_row = [&](int i, Floats row_price) __attribute__((always_inline)) {
        const Floats scores = load_rounded(tiles.scores + i * kTileLanes + first);
        const Int32s kept = lanes_of(tiles.kept[i]);
        // Written so that NaN is uncertain.
        uncertain |= ~(contradiction((scores - row_price) - column_prices, kept) < certain);
        minus_count += kept;
        if constexpr (sizeof(T) == sizeof(float)) {
            sizes.measure(scores, kept);
            const auto of_kept = reinterpret_cast<Floats>(reinterpret_cast<Int32s>(scores) & kept);
            low += widen_half<0>(of_kept);
            high += widen_half<1>(of_kept);
        }
    };
    for_rows<kWidth, Floats>(prices.rows, first, tiles.pattern.m, visit_row);
    store(lanes.sums + first, low);
    store(lanes.sums + first + kLanes<Doubles>, high);
    store(lanes.rests + first, Doubles{});
    store(lanes.rests + first + kLanes<Doubles>, Doubles{});
    lanes.refuted |= bits_of(minus_count != -tiles.pattern.n) << first;
    return bits_of(uncertain) << first;
}

// Sums of what lanes keep, without rounding.
template <class T>
inline void sum_exactly(const TilesInLanes<T>& tiles, LaneProofs& lanes) {
    for (int first = 0; first < kTileLanes; first += kLanes<Doubles>) {
        const KeptLanes<Int64s> lanes_of(first);
        ExactSum kept{};
        for (int i = 0; i < tiles.pattern.m; ++i)
            kept.add(kept_scores(tiles.scores + i * kTileLanes + first, lanes_of(tiles.kept[i])));
        store(lanes.sums + first, kept.sum);
        store(lanes.rests + first, kept.rest);
    }
}

// Lanes with an entry that contradicts its prices.
template <int kWidth, class T>
inline std::uint64_t contradicted(const TilesInLanes<T>& tiles, int first) {
    const Doubles column_prices = load_doubles(tiles.column_prices + first);
    const KeptLanes<Int64s> lanes(first);
    Int64s found{};
    for_rows<kWidth, Doubles>(
        tiles.row_prices, first, tiles.pattern.m,
        [&](int i, Doubles row_price) __attribute__((always_inline)) {
            const Doubles surplus = subtract(load_doubles(tiles.scores + i * kTileLanes + first),
                                             row_price, column_prices);
            // Written so that NaN contradicts.
            found |= ~(contradiction(surplus, lanes(tiles.kept[i])) <= Doubles{});
        });
    return bits_of(found) << first;
}

template <int kWidth, class T>
std::uint64_t prove_fields(const TilesInLanes<T>& tiles, double* totals) {
    constexpr int kStep = kLanes<Doubles>;
    constexpr std::uint64_t kField = ~std::uint64_t{0} >> (64 - kWidth);
    const auto [n, m] = tiles.pattern;
    RoundedPrices prices;
    round_prices(tiles.row_prices, prices);
    LaneProofs lanes;
    KeptSizes sizes;
    std::uint64_t uncertain = 0;
    for (int first = 0; first < kTileLanes; first += kLanes<Floats>)
        uncertain |= prove_lanes<kWidth>(tiles, prices, first, lanes, sizes);
    if (sizeof(T) > sizeof(float) || !sizes.make_sums_exact(n * m)) sum_exactly(tiles, lanes);
    for (int first = 0; first < kTileLanes && uncertain >> first != 0; first += kStep)
        if ((uncertain >> first & ~std::uint64_t{0} >> (64 - kStep)) != 0)
            lanes.refuted |= contradicted<kWidth>(tiles, first);
    add_up_fields<kTileLanes / kWidth, kWidth>(lanes.sums, lanes.rests);
    Int64s finite = ~Int64s{};
    for (int t = 0; t < kTileLanes / kWidth; t += kStep) {
        const Doubles sums = load_doubles(lanes.sums + t) + load_doubles(lanes.rests + t);
        finite &= magnitude(sums) <= __DBL_MAX__;
        store(totals + t, sums);
    }
    const std::uint64_t columns = (kField >> (kWidth - m)) * kOneInEach<kWidth>;
    const std::uint64_t used = ~std::uint64_t{0} >> (64 - tiles.tiles * kWidth);
    const std::uint64_t wrong = ((lanes.refuted & columns) | miscounted_rows<kWidth>(tiles)) & used;
    std::uint64_t proven = ~std::uint64_t{0} >> (64 - tiles.tiles);
    if (wrong == 0 && all_set(finite)) return proven;
    for (int t = 0; t < tiles.tiles; ++t)
        if ((wrong >> t * kWidth & kField) != 0 || !(__builtin_fabs(totals[t]) <= __DBL_MAX__))
            proven &= ~(std::uint64_t{1} << t);
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
