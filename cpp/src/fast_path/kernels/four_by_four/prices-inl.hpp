// Prices of 4 x 4 tiles whose best mask is known, with a lane for each tile.
//
// Row i keeps column j and row k does not: then u_i - u_k <= score(i, j) - score(k, j), or
// exchanging the two columns of a path of such steps would improve the mask. Lengths of shortest
// paths in this network of four rows are row prices; what they leave room for, the column prices.
#pragma once

#include "fast_path/kernels/four_by_four/columns-inl.hpp"
#include "fast_path/kernels/four_by_four/strip-inl.hpp"
#include "fast_path/strip.hpp"

namespace tnm::TNM_ISA {

template <class Vector>
struct PricesOfFour {
    Vector row[4], column[4];
};

// kept[i][j] is negative in lanes that keep (i, j). `slack`: by how much an entry is to differ from
// its prices, at least, rounding apart.
template <class Vector>
inline __attribute__((always_inline)) PricesOfFour<Vector> price_tiles(
    const Vector (*entry)[4], const typename MaskVectorOf<Vector>::type (*kept)[4], Vector slack) {
    const Vector infinite = splat<Vector>(__builtin_inff());
    Vector most[4][4], least[4][4];  // what u_i + v_j may be
    for (int i = 0; i < 4; ++i)
        for (int j = 0; j < 4; ++j) {
            most[i][j] = kept[i][j] < 0 ? entry[i][j] : infinite;
            least[i][j] = kept[i][j] < 0 ? -infinite : entry[i][j];
        }
    Vector step[4][4];
    for (int i = 0; i < 4; ++i)
        for (int k = 0; k < 4; ++k)
            step[i][k] = minimum(minimum(most[i][0] - least[k][0], most[i][1] - least[k][1]),
                                 minimum(most[i][2] - least[k][2], most[i][3] - least[k][3])) -
                         2 * slack;
    PricesOfFour<Vector> prices{};
    // Shortest paths have up to three steps.
    for (int length = 1; length <= 3; ++length) {
        const Vector before[4] = {prices.row[0], prices.row[1], prices.row[2], prices.row[3]};
        for (int i = 0; i < 4; ++i)
            for (int k = 0; k < 4; ++k)
                if (k != i) prices.row[i] = minimum(prices.row[i], before[k] + step[i][k]);
    }
    for (int j = 0; j < 4; ++j) {
        Vector high = infinite, low = -infinite;
        for (int i = 0; i < 4; ++i) {
            high = minimum(high, most[i][j] - prices.row[i]);
            low = maximum(low, least[i][j] - prices.row[i]);
        }
        prices.column[j] = (high + low) / 2;
    }
    return prices;
}

// Which tile of a strip's part lane l holds: as split_columns() leaves floats, or in order.
template <class Vector>
constexpr int tile_of_lane(int lane) {
    if constexpr (kLanes<Vector> == kLanes<Floats>)
        return lane % 4 * (kLanes<Floats> / 4) + lane / 4;
    else
        return lane;
}

// In the highest bit of each lane.
template <class Vector>
inline __attribute__((always_inline)) void split_kept(
    const std::uint64_t* rows, int first, typename MaskVectorOf<Vector>::type (*kept)[4]) {
    using Mask = typename MaskVectorOf<Vector>::type;
    using Lane = decltype(+Mask{}[0]);
    [&]<std::size_t... l>(std::index_sequence<l...>) __attribute__((always_inline)) {
        for (int i = 0; i < 4; ++i) {
            const std::uint64_t row = rows[i] >> 4 * first;
            // Eight tiles have 32 bits.
            const Mask low = splat<Mask>(static_cast<Lane>(static_cast<std::int32_t>(row)));
            const Mask high = splat<Mask>(static_cast<Lane>(static_cast<std::int32_t>(row >> 32)));
            const Mask bits = __builtin_shufflevector(
                low, high, (l + (tile_of_lane<Vector>(l) < 8 ? 0 : kLanes<Vector>))...);
            constexpr int kTop = static_cast<int>(sizeof(Lane)) * 8 - 4;
            const Mask to_top{static_cast<Lane>(kTop - tile_of_lane<Vector>(l) % 8 * 4)...};
            for (int j = 0; j < 4; ++j) kept[i][j] = bits << to_top << (3 - j);
        }
    }(std::make_index_sequence<kLanes<Vector>>{});
}

inline __attribute__((always_inline)) Floats load_as_floats(const float* source) {
    return load<Floats>(source);
}
inline __attribute__((always_inline)) Floats load_as_floats(const double* source) {
    Floats floats;
    for (int l = 0; l < kLanes<Floats>; ++l) floats[l] = static_cast<float>(source[l]);
    return floats;
}

// Four vectors of neighbouring tiles, from lanes to rows; sixteen prices each.
inline __attribute__((always_inline)) void store_prices(const Floats* lanes, double* target) {
    Floats rows[4];
    // Its own inverse.
    split_columns(lanes[0], lanes[1], lanes[2], lanes[3], rows);
    alignas(kVectorBytes) float floats[4 * kLanes<Floats>];
    for (int k = 0; k < 4; ++k) store(floats + k * kLanes<Floats>, rows[k]);
    for (int k = 0; k < 4 * kLanes<Floats>; k += kLanes<Doubles>)
        store(target + k, load_doubles(floats + k));
}

// From scores rounded to floats, and so far off the scores that rounding does not matter: proves
// nearly all masks that are the only best ones.
template <class T>
void price_tiles_of_four(const T* scores, const std::uint64_t* kept, double* row_prices,
                         double* column_prices) {
    constexpr int kCount = kLanes<Floats>;
    constexpr float kSlack = 0x1p-18F;
    for (int first = 0; first < kTilesOfFour; first += kCount) {
        Floats entry[4][4], largest{};
        Int32s kept_lanes[4][4];
        for (int i = 0; i < 4; ++i) {
            const T* row = scores + i * kStripColumns + first * 4;
            split_columns(load_as_floats(row), load_as_floats(row + kCount),
                          load_as_floats(row + 2 * kCount), load_as_floats(row + 3 * kCount),
                          entry[i]);
            for (int j = 0; j < 4; ++j) largest = maximum(largest, magnitude(entry[i][j]));
        }
        split_kept<Floats>(kept, first, kept_lanes);
        const auto prices = price_tiles<Floats>(entry, kept_lanes, largest * kSlack);
        store_prices(prices.row, row_prices + first * 4);
        store_prices(prices.column, column_prices + first * 4);
    }
}

// From doubles, and as close as they allow: proves masks of scores that tie, too.
template <class T>
void price_tiles_of_four_tightly(const T* scores, const std::uint64_t* kept, double* row_prices,
                                 double* column_prices) {
    for (int first = 0; first < kTilesOfFour; first += kLanes<Doubles>) {
        Doubles entry[4][4];
        Int64s kept_lanes[4][4];
        gather_tiles(scores, first, entry);
        split_kept<Doubles>(kept, first, kept_lanes);
        const auto prices = price_tiles<Doubles>(entry, kept_lanes, Doubles{});
        for (int lane = 0; lane < kLanes<Doubles>; ++lane)
            for (int k = 0; k < 4; ++k) {
                row_prices[(first + lane) * 4 + k] = prices.row[k][lane];
                column_prices[(first + lane) * 4 + k] = prices.column[k][lane];
            }
    }
}

}  // namespace tnm::TNM_ISA
