// 4 x 4 tiles with a lane each: their columns out of rows of memory, and their masks back.
//
// Splitting only moves elements within 128 bits, which leaves the tiles of a vector in an order of
// its own.
#pragma once

#include "fast_path/kernels/four_by_four/closed_form-inl.hpp"
#include "simd/vectors-inl.hpp"
#include "tnm/pattern.hpp"

namespace tnm::TNM_ISA {

// Which tile lane 4 * q + r holds.
enum class TileOrder {
    from_bytes,  // 4 * q + r
    from_words,  // (lanes / 4) * r + q
    from_halves  // 2 * q + r for the lower two r, (lanes / 2) + 2 * q + r - 2 for the upper two
};

constexpr int lane_of_tile(TileOrder order, int tile, int lanes) {
    if (order == TileOrder::from_bytes) return tile;
    if (order == TileOrder::from_words) return 4 * (tile % (lanes / 4)) + tile / (lanes / 4);
    const int within = tile % (lanes / 2), upper = tile / (lanes / 2);
    return 4 * (within / 2) + within % 2 + 2 * upper;
}

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

// Within 128 bits: elements kFirst and kFirst + 2 of x, then of y.
template <int kFirst>
inline __attribute__((always_inline)) Floats join_alternate(Floats x, Floats y) {
    return [&]<std::size_t... l>(std::index_sequence<l...>) __attribute__((always_inline)) {
        return __builtin_shufflevector(
            x, y, (l / 4 * 4 + kFirst + l % 2 * 2 + (l % 4 < 2 ? 0 : kLanes<Floats>))...);
    }(std::make_index_sequence<kLanes<Floats>>{});
}

// Columns 0 to 3 of as many tiles as a vector has lanes; v0 to v3 are neighbours in memory. Leaves
// the tiles in TileOrder::from_words.
inline __attribute__((always_inline)) void split_columns(Floats v0, Floats v1, Floats v2, Floats v3,
                                                         Floats* column) {
    const Floats low01 = interleave<0>(v0, v1), high01 = interleave<2>(v0, v1);
    const Floats low23 = interleave<0>(v2, v3), high23 = interleave<2>(v2, v3);
    column[0] = join_pairs<0>(low01, low23);
    column[1] = join_pairs<2>(low01, low23);
    column[2] = join_pairs<0>(high01, high23);
    column[3] = join_pairs<2>(high01, high23);
}

// Lane t becomes tile t.
template <TileOrder kOrder>
inline __attribute__((always_inline)) Int32s in_tile_order(Int32s rows) {
    return [&]<std::size_t... t>(std::index_sequence<t...>) __attribute__((always_inline)) {
        return __builtin_shufflevector(rows, rows, lane_of_tile(kOrder, t, kLanes<Int32s>)...);
    }(std::make_index_sequence<kLanes<Int32s>>{});
}

// Rows and columns of each lane's mask change places: bytes move in pairs of two, then in pairs.
inline __attribute__((always_inline)) void turn_masks(FourRows<Floats>& rows) {
    constexpr std::int32_t kEvenBytes = 0x00ff00ff, kLowHalf = 0xffff;
    Int32s even[2], odd[2];  // of rows 0 and 1, and of rows 2 and 3
    for (int k = 0; k < 2; ++k) {
        const Int32s upper = rows.row[2 * k], lower = rows.row[2 * k + 1];
        even[k] = (upper & kEvenBytes) | (lower & kEvenBytes) << 8;
        odd[k] = (upper >> 8 & kEvenBytes) | (lower & ~kEvenBytes);
    }
    rows.row[0] = (even[0] & kLowHalf) | even[1] << 16;
    rows.row[1] = (odd[0] & kLowHalf) | odd[1] << 16;
    rows.row[2] = (even[0] >> 16 & kLowHalf) | (even[1] & ~kLowHalf);
    rows.row[3] = (odd[0] >> 16 & kLowHalf) | (odd[1] & ~kLowHalf);
}

// decide(entry, rows), with tiles that lie turned in memory the right way round meanwhile: ties are
// not broken alike in rows and in columns.
template <bool kTurned, class Decide>
inline __attribute__((always_inline)) auto decide_upright(const Floats (*entry)[4],
                                                          FourRows<Floats>& rows,
                                                          const Decide& decide) {
    if constexpr (!kTurned) {
        return decide(entry, rows);
    } else {
        Floats upright[4][4];
        for (int i = 0; i < 4; ++i)
            for (int j = 0; j < 4; ++j) upright[i][j] = entry[j][i];
        const auto decided = decide(upright, rows);
        turn_masks(rows);
        return decided;
    }
}

// A bound on the sum of all magnitudes.
template <Score kScore>
inline __attribute__((always_inline)) Floats total_magnitude(const Floats (*entry)[4]) {
    Floats total{};
    for (int i = 0; i < 4; ++i) {
        if constexpr (kScore == Score::abs)
            total += (entry[i][0] + entry[i][1]) + (entry[i][2] + entry[i][3]);
        else
            total += (magnitude(entry[i][0]) + magnitude(entry[i][1])) +
                     (magnitude(entry[i][2]) + magnitude(entry[i][3]));
    }
    return total;
}

// Every comparison is between sums of at most 16 scores with at most 6 roundings each.
inline constexpr float kRelativeError = 0x1p-20F;

// From floats. A lane of `uncertain` is set where rounding might have decided, and where the sum of
// all magnitudes reaches `limit`, up to which it tells that every score is finite. With Score::abs
// no score is negative.
template <int kN, Score kScore>
inline __attribute__((always_inline)) FourRows<Floats> mask_from_floats(const Floats (*entry)[4],
                                                                        float limit,
                                                                        Int32s* uncertain) {
    Floats lead;
    const FourRows<Floats> rows = best_of_four<kN>(entry, &lead);
    const Floats total = total_magnitude<kScore>(entry);
    // Negated, so that it holds for NaN, too.
    *uncertain = ~((lead > total * kRelativeError) & (total < limit));
    return rows;
}

// Scores of both signs may cancel, and so might leave a sum that doubles are too coarse for; not
// where none but zeros are so much smaller than their total, nor where something else than zeros
// is kept. Lanes are set where neither tells that.
inline constexpr float kWidestRange = 0x1p20F;
inline Int32s lanes_with_wide_range(const Floats (*entry)[4], Floats total) {
    Floats least = splat<Floats>(__builtin_inff());
    for (int i = 0; i < 4; ++i)
        for (int j = 0; j < 4; ++j) {
            const Floats size = magnitude(entry[i][j]);
            least = minimum(least, size > 0.0F ? size : splat<Floats>(__builtin_inff()));
        }
    return total > least * kWidestRange;
}
inline Int32s lanes_without_kept_scores(const Floats (*entry)[4], const FourRows<Floats>& rows) {
    Int32s kept{};
    for (int i = 0; i < 4; ++i)
        for (int j = 0; j < 4; ++j)
            kept |= rows.row[i] << (31 - 8 * j) >> 31 &
                    reinterpret_cast<Int32s>(magnitude(entry[i][j]));
    return kept == 0;
}

// The same tiles from doubles, for when some lane is uncertain. Returns false, and leaves `rows`
// alone, where that is not enough: some score is not finite, or with Score::identity sums may be
// too coarse. Sets `close` if floats would leave a lane uncertain.
template <int kN, Score kScore>
__attribute__((noinline)) bool decide_in_doubles(const Floats (*entry)[4], float limit,
                                                 FourRows<Floats>& rows, bool& close) {
    constexpr int kCount = kLanes<Floats>;
    const Floats total = total_magnitude<kScore>(entry);
    if (bits_of(~(total < limit)) != 0) return false;
    if constexpr (kScore == Score::identity)
        if (bits_of(lanes_with_wide_range(entry, total)) != 0) return false;
    alignas(kVectorBytes) float error[kCount];
    store(error, total * kRelativeError);
    alignas(kVectorBytes) float score[4][4][kCount];
    for (int i = 0; i < 4; ++i)
        for (int j = 0; j < 4; ++j) store(score[i][j], entry[i][j]);
    alignas(kVectorBytes) std::int32_t flags[4][kCount];
    bool any_close = false;
    for (int first = 0; first < kCount; first += kLanes<Doubles>) {
        Doubles wide[4][4], lead;
        for (int i = 0; i < 4; ++i)
            for (int j = 0; j < 4; ++j) wide[i][j] = load_doubles(score[i][j] + first);
        const FourRows<Doubles> decided = best_of_four<kN>(wide, &lead);
        any_close |= bits_of(lead <= load_doubles(error + first)) != 0;
        for (int i = 0; i < 4; ++i)
            store(flags[i] + first, __builtin_convertvector(decided.row[i], HalfInt32s));
    }
    FourRows<Floats> decided;
    for (int i = 0; i < 4; ++i) decided.row[i] = load<Int32s>(flags[i]);
    if constexpr (kScore == Score::identity)
        if (bits_of(lanes_without_kept_scores(entry, decided) & (total > 0.0F)) != 0) return false;
    rows = decided;
    close |= any_close;
    return true;
}

// From floats, and from doubles where needed. Returns the lanes that need another road.
template <int kN, Score kScore>
inline __attribute__((always_inline)) std::uint64_t decide(const Floats (*entry)[4], float limit,
                                                           FourRows<Floats>& rows) {
    Int32s uncertain;
    rows = mask_from_floats<kN, kScore>(entry, limit, &uncertain);
    const std::uint64_t lanes = bits_of(uncertain);
    bool close = false;
    if (lanes == 0 || decide_in_doubles<kN, kScore>(entry, limit, rows, close)) return 0;
    return lanes;
}

}  // namespace tnm::TNM_ISA
