// The optimal mask of 4 x 4 tiles in closed form: no search, a lane a tile.
//
// 2:4. Write the row (c0, c1, c2, c3) as a = c0 + c1 - c2 - c3, b = c0 - c1 + c2 - c3,
// c = c0 - c1 - c2 + c3: the six ways to keep two of four are +a, -a, +b, -b, +c, -c, and a mask is
// balanced exactly if its + and - cancel in each of a, b and c. So rows pair up, the two of a pair
// keep complementary columns, and a pair (i, k) is best worth max(|a_i - a_k|, |b_i - b_k|,
// |c_i - c_k|). Three ways to pair four rows, three classes for either pair: all 90 masks.
//
// 1:4. The columns of rows 0 and 1 are one of six pairs, in one of two orders; rows 2 and 3 take
// the other two. 3:4 drops what 1:4 would keep of the negated scores.
//
// Doubles decide. For 2:4 floats come first, and stand where the best is ahead of the rest by more
// than all their rounding; that is, nearly everywhere but in ties.
//
// Ties: the pairing (01)(23) before (02)(13) before (03)(12), a before b before c, + before -; the
// lowest pair of columns, the lower column to the upper row (3:4 counts columns from the right, so
// that a constant tile keeps the same ring of entries as at every other n:m).
#pragma once

#include "strip/lanes.hpp"
#include "strip/quantize.hpp"
#include "strip/strip.hpp"
#include "strip/strip_kernels.hpp"

namespace tnm::TNM_ISA {

inline constexpr int kTilesOfFour = kStripColumns / 4;

template <class Vector>
struct MaskVectorOf;
template <>
struct MaskVectorOf<Floats> {
    using type = Int32s;
};
template <>
struct MaskVectorOf<Doubles> {
    using type = Int64s;
};

// Four bits a lane: what each row of the lane's tile keeps, bit j for column j.
template <class Vector>
struct FourCodes {
    typename MaskVectorOf<Vector>::type row[4];
};

template <class Vector>
struct SignedSums {
    Vector a, b, c;
};

template <class Vector>
inline __attribute__((always_inline)) SignedSums<Vector> signed_sums(const Vector* row) {
    const Vector left = row[0] + row[1], right = row[2] + row[3];
    const Vector d_left = row[0] - row[1], d_right = row[2] - row[3];
    return {left - right, d_left + d_right, d_left - d_right};
}

template <class Vector>
inline __attribute__((always_inline)) SignedSums<Vector> difference(const SignedSums<Vector>& x,
                                                                    const SignedSums<Vector>& y) {
    return {x.a - y.a, x.b - y.b, x.c - y.c};
}

template <class Vector, class Mask>
inline __attribute__((always_inline)) SignedSums<Vector> blend(Mask mask,
                                                               const SignedSums<Vector>& if_set,
                                                               const SignedSums<Vector>& if_clear) {
    return {mask ? if_set.a : if_clear.a, mask ? if_set.b : if_clear.b,
            mask ? if_set.c : if_clear.c};
}

// The best of a pair's three classes, and by how much it leads the second.
template <class Vector>
struct PairWorth {
    Vector best, lead;
};

template <class Vector>
inline __attribute__((always_inline)) PairWorth<Vector> worth_of_pair(const SignedSums<Vector>& x,
                                                                      const SignedSums<Vector>& y) {
    const SignedSums<Vector> d = difference(x, y);
    const Vector a = magnitude(d.a), b = magnitude(d.b), c = magnitude(d.c);
    const Vector most_ab = maximum(a, b);
    const Vector best = maximum(most_ab, c);
    return {best, best - maximum(minimum(a, b), minimum(most_ab, c))};
}

// What the first row of a pair keeps; the second keeps the rest.
template <class Vector>
inline __attribute__((always_inline)) typename MaskVectorOf<Vector>::type choose_columns(
    const SignedSums<Vector>& x, const SignedSums<Vector>& y) {
    using Mask = typename MaskVectorOf<Vector>::type;
    const SignedSums<Vector> d = difference(x, y);
    const Vector zero{}, a = magnitude(d.a), b = magnitude(d.b), c = magnitude(d.c);
    Mask code = d.a >= zero ? Mask{} + 0b0011 : Mask{} + 0b1100;
    code = b > a ? (d.b >= zero ? Mask{} + 0b0101 : Mask{} + 0b1010) : code;
    return c > maximum(a, b) ? (d.c >= zero ? Mask{} + 0b1001 : Mask{} + 0b0110) : code;
}

// `lead`: where it is above all rounding, the mask is the only best one. A mask with all four rows
// in one class shows up in two pairings, which then tie; it is the only best one if neither pairing
// has another choice near.
template <class Vector>
inline __attribute__((always_inline)) FourCodes<Vector> two_of_four(const Vector (*entry)[4],
                                                                    Vector* lead) {
    using Mask = typename MaskVectorOf<Vector>::type;
    const SignedSums<Vector> r0 = signed_sums(entry[0]), r1 = signed_sums(entry[1]);
    const SignedSums<Vector> r2 = signed_sums(entry[2]), r3 = signed_sums(entry[3]);
    const PairWorth<Vector> w01 = worth_of_pair(r0, r1), w23 = worth_of_pair(r2, r3);
    const PairWorth<Vector> w02 = worth_of_pair(r0, r2), w13 = worth_of_pair(r1, r3);
    const PairWorth<Vector> w03 = worth_of_pair(r0, r3), w12 = worth_of_pair(r1, r2);
    const Vector with1 = w01.best + w23.best, with2 = w02.best + w13.best;
    const Vector with3 = w03.best + w12.best;
    const Vector most12 = maximum(with1, with2), least12 = minimum(with1, with2);
    const Mask is3 = with3 > most12;
    const Mask is2 = (with2 > with1) & ~is3;
    const Mask is1 = ~(is2 | is3);

    const Mask first = choose_columns(r0, blend(is3, r3, blend(is2, r2, r1)));
    const Mask other = choose_columns(blend(is1, r2, r1), blend(is3, r2, r3));
    const Mask first_rest = first ^ 15, other_rest = other ^ 15;
    const Mask one_class = (first == other) | (first == other_rest);
    const Vector best = maximum(most12, with3), third = minimum(least12, with3);
    const Vector second = maximum(least12, minimum(most12, with3));
    const Vector within_pairs =
        minimum(minimum(minimum(w01.lead, w23.lead), minimum(w02.lead, w13.lead)),
                minimum(w03.lead, w12.lead));
    *lead = minimum(within_pairs, best - (one_class ? third : second));

    FourCodes<Vector> codes;
    codes.row[0] = first;
    codes.row[1] = is1 ? first_rest : other;
    codes.row[2] = is1 ? other : (is2 ? first_rest : other_rest);
    codes.row[3] = is3 ? first_rest : other_rest;
    return codes;
}

inline FourCodes<Doubles> one_of_four(const Doubles (*entry)[4]) {
    struct Columns {
        int low, high, rest_low, rest_high;
    };
    constexpr Columns kPairs[6] = {{0, 1, 2, 3}, {0, 2, 1, 3}, {0, 3, 1, 2},
                                   {1, 2, 0, 3}, {1, 3, 0, 2}, {2, 3, 0, 1}};
    FourCodes<Doubles> best{};
    Doubles most = splat<Doubles>(-__builtin_inf());
    for (const Columns& columns : kPairs) {
        const Doubles straight = entry[0][columns.low] + entry[1][columns.high];
        const Doubles crossed = entry[0][columns.high] + entry[1][columns.low];
        const Doubles rest_straight = entry[2][columns.rest_low] + entry[3][columns.rest_high];
        const Doubles rest_crossed = entry[2][columns.rest_high] + entry[3][columns.rest_low];
        const Doubles worth = maximum(straight, crossed) + maximum(rest_straight, rest_crossed);
        const Int64s better = worth > most, cross = crossed > straight,
                     rest_cross = rest_crossed > rest_straight;
        const auto bit = [](int column) { return splat<Int64s>(std::int64_t{1} << column); };
        const Int64s rows[4] = {cross ? bit(columns.high) : bit(columns.low),
                                cross ? bit(columns.low) : bit(columns.high),
                                rest_cross ? bit(columns.rest_high) : bit(columns.rest_low),
                                rest_cross ? bit(columns.rest_low) : bit(columns.rest_high)};
        for (int i = 0; i < 4; ++i) best.row[i] = better ? rows[i] : best.row[i];
        most = maximum(most, worth);
    }
    return best;
}

// ---- doubles: lane l is tile first + l ----------------------------------------

// For 3:4 negated and with columns from right to left.
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

inline std::uint64_t reversed(std::uint64_t code) {
    return (code & 1) << 3 | (code & 2) << 1 | (code >> 1 & 2) | code >> 3;
}

template <int kN, class T>
__attribute__((noinline)) void mask_tiles_of_four_exactly(const T* scores, std::uint64_t* kept) {
    for (int i = 0; i < 4; ++i) kept[i] = 0;
    for (int first = 0; first < kTilesOfFour; first += kLanes<Doubles>) {
        Doubles entry[4][4], lead;
        gather_tiles<kN>(scores, first, entry);
        FourCodes<Doubles> codes;
        if constexpr (kN == 2)
            codes = two_of_four(entry, &lead);
        else
            codes = one_of_four(entry);
        for (int i = 0; i < 4; ++i)
            for (int lane = 0; lane < kLanes<Doubles>; ++lane) {
                const auto code = static_cast<std::uint64_t>(codes.row[i][lane]);
                kept[i] |= (kN == 3 ? 15 ^ reversed(code) : code) << (4 * (first + lane));
            }
    }
}

// ---- floats: lane 4 * q + r is tile (lanes / 4) * r + q of the vectors' tiles ---

// Within 128 bits: elements kFirst and kFirst + 1 of x and y, alternating.
template <int kFirst>
inline __attribute__((always_inline)) Floats interleave(Floats x, Floats y) {
    return [&]<std::size_t... l>(std::index_sequence<l...>) __attribute__((always_inline)) {
        return __builtin_shufflevector(
            x, y, (l / 4 * 4 + kFirst + l % 4 / 2 + (l % 2 ? kLanes<Floats> : 0))...);
    }(std::make_index_sequence<kLanes<Floats>>{});
}

// Within 128 bits: two elements of x, then two of y, from kFirst on.
template <int kFirst>
inline __attribute__((always_inline)) Floats join_pairs(Floats x, Floats y) {
    return [&]<std::size_t... l>(std::index_sequence<l...>) __attribute__((always_inline)) {
        return __builtin_shufflevector(
            x, y, (l / 4 * 4 + kFirst + l % 2 + (l % 4 < 2 ? 0 : kLanes<Floats>))...);
    }(std::make_index_sequence<kLanes<Floats>>{});
}

// Columns 0 to 3 of as many tiles as a vector has lanes.
inline __attribute__((always_inline)) void split_columns(const float* row, Floats* column) {
    constexpr int kCount = kLanes<Floats>;
    const Floats v0 = load<Floats>(row), v1 = load<Floats>(row + kCount);
    const Floats v2 = load<Floats>(row + 2 * kCount), v3 = load<Floats>(row + 3 * kCount);
    const Floats low01 = interleave<0>(v0, v1), high01 = interleave<2>(v0, v1);
    const Floats low23 = interleave<0>(v2, v3), high23 = interleave<2>(v2, v3);
    column[0] = join_pairs<0>(low01, low23);
    column[1] = join_pairs<2>(low01, low23);
    column[2] = join_pairs<0>(high01, high23);
    column[3] = join_pairs<2>(high01, high23);
}

// The codes of all lanes as bits, tile t at bit 4 * t.
inline __attribute__((always_inline)) std::uint64_t join_codes(Int32s codes) {
    constexpr int kCount = kLanes<Int32s>, kTilesPerVector = kCount / 4;
    const Int32s shift = [&]<std::size_t... l>(std::index_sequence<l...>) {
        return Int32s{static_cast<std::int32_t>(4 * ((kTilesPerVector * (l % 4) + l / 4) % 8))...};
    }(std::make_index_sequence<kCount>{});
    Int32s bits = codes << shift;
    if constexpr (kCount >= 16) bits |= swap_lanes<8>(bits);
    if constexpr (kCount >= 8) bits |= swap_lanes<4>(bits);
    bits |= swap_lanes<1>(bits);
    const auto lower = static_cast<std::uint32_t>(bits[0]),
               upper = static_cast<std::uint32_t>(bits[2]);
    if constexpr (kCount >= 16) return static_cast<std::uint64_t>(upper) << 32 | lower;
    return lower | upper;
}

// 2:4 from floats; returns false if rounding might have decided somewhere.
inline bool mask_tiles_two_of_four(const float* scores, std::uint64_t* kept) {
    // Every comparison is between sums of at most 16 scores with at most 6 roundings each.
    constexpr float kRelativeError = 0x1p-20F;
    Int32s doubtful{};
    for (int i = 0; i < 4; ++i) kept[i] = 0;
    for (int first = 0; first < kTilesOfFour; first += kLanes<Floats>) {
        Floats entry[4][4], lead, total{};
        for (int i = 0; i < 4; ++i) split_columns(scores + i * kStripColumns + first * 4, entry[i]);
        for (int i = 0; i < 4; ++i)
            total += (magnitude(entry[i][0]) + magnitude(entry[i][1])) +
                     (magnitude(entry[i][2]) + magnitude(entry[i][3]));
        const FourCodes<Floats> codes = two_of_four(entry, &lead);
        doubtful |= ~(lead > total * kRelativeError);  // NaN from overflow is doubtful, too
        for (int i = 0; i < 4; ++i) kept[i] |= join_codes(codes.row[i]) << (4 * first);
    }
    return bits_of(doubtful) == 0;
}

template <int kN, class T>
void mask_tiles_of_four(const T* scores, Pattern, std::uint64_t* kept) {
    if constexpr (kN == 2 && sizeof(T) == sizeof(float))
        if (mask_tiles_two_of_four(scores, kept)) return;
    mask_tiles_of_four_exactly<kN>(scores, kept);
}

template <class T>
inline MaskStrip<T> four_by_four(Pattern pattern) {
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

}  // namespace tnm::TNM_ISA
