// The optimal mask of 4 x 4 tiles in closed form: no search, one lane per tile.
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
// Doubles decide. Floats come first, and stand where the best is ahead of the rest by more than all
// their rounding; that is, nearly everywhere but in ties.
//
// Ties: the pairing (01)(23) before (02)(13) before (03)(12), a before b before c, + before -; the
// lowest pair of columns, the lower column to the upper row (3:4 counts columns from the right, so
// that a constant tile keeps the same ring of entries as at every other n:m).
#pragma once

#include "simd/vectors-inl.hpp"

namespace tnm::TNM_ISA {

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

// What each row of a lane's tile keeps: byte j is 1 for column j, else 0, as in the mask's memory.
template <class Vector>
struct FourRows {
    typename MaskVectorOf<Vector>::type row[4];
};

constexpr std::int32_t keep_columns(int j, int k) {
    return 1 << 8 * j | 1 << 8 * k;
}
inline constexpr std::int32_t kKeepAll = 0x01010101;

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
    const auto choose = [](auto positive, int k, int rest_j,
                           int rest_k) __attribute__((always_inline)) {
        return positive ? Mask{} + keep_columns(0, k) : Mask{} + keep_columns(rest_j, rest_k);
    };
    Mask row = choose(d.a >= zero, 1, 2, 3);
    row = b > a ? choose(d.b >= zero, 2, 1, 3) : row;
    return c > maximum(a, b) ? choose(d.c >= zero, 3, 1, 2) : row;
}

// `lead`: where it is above all rounding, the mask is the only best one. A mask with all four rows
// in one class shows up in two pairings, which then tie; it is the only best one if neither pairing
// has another choice near.
template <class Vector>
inline __attribute__((always_inline)) FourRows<Vector> two_of_four(const Vector (*entry)[4],
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
    const Mask first_rest = first ^ kKeepAll, other_rest = other ^ kKeepAll;
    const Mask one_class = (first == other) | (first == other_rest);
    const Vector best = maximum(most12, with3), third = minimum(least12, with3);
    const Vector second = maximum(least12, minimum(most12, with3));
    const Vector within_pairs =
        minimum(minimum(minimum(w01.lead, w23.lead), minimum(w02.lead, w13.lead)),
                minimum(w03.lead, w12.lead));
    *lead = minimum(within_pairs, best - (one_class ? third : second));

    FourRows<Vector> rows;
    rows.row[0] = first;
    rows.row[1] = is1 ? first_rest : other;
    rows.row[2] = is1 ? other : (is2 ? first_rest : other_rest);
    rows.row[3] = is3 ? first_rest : other_rest;
    return rows;
}

// 1:4, and 3:4 as what it drops, with columns from right to left. `lead`: by how much the best mask
// is ahead of all others.
template <int kN, class Vector>
inline __attribute__((always_inline)) FourRows<Vector> one_of_four(const Vector (*entry)[4],
                                                                   Vector* lead) {
    using Mask = typename MaskVectorOf<Vector>::type;
    struct Columns {
        int low, high, rest_low, rest_high;
    };
    constexpr Columns kPairs[6] = {{0, 1, 2, 3}, {0, 2, 1, 3}, {0, 3, 1, 2},
                                   {1, 2, 0, 3}, {1, 3, 0, 2}, {2, 3, 0, 1}};
    const auto score = [entry](int i, int j) __attribute__((always_inline)) {
        return kN == 1 ? entry[i][j] : -entry[i][3 - j];
    };
    const auto flags = [](auto first, int j, int k) __attribute__((always_inline)) {
        const auto row = [](int column) {
            return kN == 1 ? 1 << 8 * column : kKeepAll ^ 1 << 8 * (3 - column);
        };
        return first ? Mask{} + row(j) : Mask{} + row(k);
    };
    FourRows<Vector> best{};
    Vector most = splat<Vector>(-__builtin_inff()), second = most, within{};
    for (const Columns& columns : kPairs) {
        const Vector straight = score(0, columns.low) + score(1, columns.high);
        const Vector crossed = score(0, columns.high) + score(1, columns.low);
        const Vector rest_straight = score(2, columns.rest_low) + score(3, columns.rest_high);
        const Vector rest_crossed = score(2, columns.rest_high) + score(3, columns.rest_low);
        const Vector worth = maximum(straight, crossed) + maximum(rest_straight, rest_crossed);
        const auto better = worth > most, cross = crossed > straight,
                   rest_cross = rest_crossed > rest_straight;
        const Mask rows[4] = {flags(cross, columns.high, columns.low),
                              flags(cross, columns.low, columns.high),
                              flags(rest_cross, columns.rest_high, columns.rest_low),
                              flags(rest_cross, columns.rest_low, columns.rest_high)};
        for (int i = 0; i < 4; ++i) best.row[i] = better ? rows[i] : best.row[i];
        const Vector closest =
            minimum(magnitude(straight - crossed), magnitude(rest_straight - rest_crossed));
        within = better ? closest : within;
        second = maximum(second, minimum(most, worth));
        most = maximum(most, worth);
    }
    *lead = minimum(within, most - second);
    return best;
}

// n:4. Where `lead` is above all rounding, the mask is the only best one.
template <int kN, class Vector>
inline __attribute__((always_inline)) FourRows<Vector> best_of_four(const Vector (*entry)[4],
                                                                    Vector* lead) {
    if constexpr (kN == 2)
        return two_of_four(entry, lead);
    else
        return one_of_four<kN>(entry, lead);
}

}  // namespace tnm::TNM_ISA
