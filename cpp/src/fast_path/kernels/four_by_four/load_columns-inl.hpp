// The columns of 4 x 4 tiles as floats, straight from elements of any type.
#pragma once

#include "elements/elements-inl.hpp"
#include "fast_path/kernels/four_by_four/columns-inl.hpp"

namespace tnm::TNM_ISA {

// The order in which load_columns leaves tiles.
template <Dtype kDtype>
inline constexpr TileOrder kTileOrder = kIsHalf<kDtype>            ? TileOrder::from_halves
                                        : kDtypeBytes<kDtype> == 1 ? TileOrder::from_bytes
                                                                   : TileOrder::from_words;

// Whether load_columns gives the very scores, or these times a power of two.
template <Dtype kDtype, Score kScore>
inline constexpr bool kColumnsAreExact =
    kDtype == Dtype::float16 ||
    ((kDtype == Dtype::bfloat16 || kDtype == Dtype::float32) && kScore != Score::square);

// Where this is the least of what an infinity among the scores can make of a sum of magnitudes.
template <Dtype kDtype, Score kScore>
inline constexpr float kTotalOfInfinity = kDtype != Dtype::float16  ? __builtin_inff()
                                          : kScore == Score::square ? 0x1p32F
                                                                    : 0x1p-96F;

template <Score kScore>
inline __attribute__((always_inline)) Floats score_of(Floats value) {
    if constexpr (kScore == Score::square) return value * value;
    return kScore == Score::abs ? magnitude(value) : value;
}

// A float16, moved so that its exponent lies where a float has its own: its value times 2^-112,
// denormals included. The factor makes no difference to the mask.
inline __attribute__((always_inline)) Floats shrink_float16(Int32s upper_half) {
    constexpr auto kSign = static_cast<std::int32_t>(0x80000000U);
    return reinterpret_cast<Floats>((upper_half & 0x7fff0000) >> 3 | (upper_half & kSign));
}

template <Dtype kDtype, Score kScore>
inline __attribute__((always_inline)) Floats score_of_half(Int32s upper_half) {
    if constexpr (kDtype == Dtype::bfloat16)
        return score_of<kScore>(reinterpret_cast<Floats>(upper_half));
    const Floats shrunk = shrink_float16(upper_half);
    return score_of<kScore>(kScore == Score::square ? shrunk * 0x1p112F : shrunk);
}

// Column j of tiles whose rows are words.
template <Dtype kDtype, Score kScore>
inline __attribute__((always_inline)) Floats score_of_byte(Int32s words, int j) {
    const Int32s value = kIsSigned<kDtype> ? words << (24 - 8 * j) >> 24 : words >> 8 * j & 0xff;
    if constexpr (kDtype == Dtype::boolean)
        return __builtin_convertvector((value != 0) & 1, Floats);
    return score_of<kScore>(__builtin_convertvector(value, Floats));
}

// Columns 0 to 3 of as many tiles as a vector has lanes. Two 16-bit floats share 32 bits: the even
// column is shifted up, the odd one is there already.
template <Dtype kDtype, Score kScore>
inline __attribute__((always_inline)) void load_columns(const std::byte* row, Floats* column) {
    const auto words = [row](int k) __attribute__((always_inline)) {
        return load<Int32s>(reinterpret_cast<const std::int32_t*>(row + k * kVectorBytes));
    };
    if constexpr (kIsHalf<kDtype>) {
        constexpr auto kUpperHalf = static_cast<std::int32_t>(0xffff0000U);
        const Int32s first = words(0), second = words(1);
        const Floats even0 = score_of_half<kDtype, kScore>(first << 16);
        const Floats even1 = score_of_half<kDtype, kScore>(second << 16);
        const Floats odd0 = score_of_half<kDtype, kScore>(first & kUpperHalf);
        const Floats odd1 = score_of_half<kDtype, kScore>(second & kUpperHalf);
        column[0] = join_alternate<0>(even0, even1);
        column[1] = join_alternate<0>(odd0, odd1);
        column[2] = join_alternate<1>(even0, even1);
        column[3] = join_alternate<1>(odd0, odd1);
    } else if constexpr (kDtypeBytes<kDtype> == 1) {
        for (int j = 0; j < 4; ++j) column[j] = score_of_byte<kDtype, kScore>(words(0), j);
    } else {
        const auto scores = [row](int k) __attribute__((always_inline)) {
            return score_of<kScore>(
                floats_at<kDtype>(row + k * kLanes<Floats> * kDtypeBytes<kDtype>));
        };
        split_columns(scores(0), scores(1), scores(2), scores(3), column);
    }
}

// From what load_columns gave. A lane of `uncertain` is set where rounding might have decided,
// and where some score may not be finite. Entries that are not exact are off by up to three
// roundings, which leaves mask_from_floats four.
template <int kN, Dtype kDtype, Score kScore>
inline __attribute__((always_inline)) FourRows<Floats> mask_elements(const Floats (*entry)[4],
                                                                     Int32s* uncertain) {
    constexpr Score kSign = kScore == Score::identity ? Score::identity : Score::abs;
    const FourRows<Floats> rows =
        mask_from_floats<kN, kSign>(entry, kTotalOfInfinity<kDtype, kScore>, uncertain);
    const Floats total = total_magnitude<kSign>(entry);
    constexpr bool kAlwaysHeld = kIsInteger<kDtype> && kScoreBits<kDtype, kScore> <= 20;
    if constexpr (kAlwaysHeld || (kIsInteger<kDtype> && kSign == Score::abs)) {
        // Integers whose total floats hold are summed without any rounding, and their ties are
        // broken as they are among doubles. The general solver takes tiles that keep nothing else
        // than zeros beside scores below zero.
        *uncertain = kAlwaysHeld ? Int32s{} : *uncertain & ~(total < 0x1p24F);
        if constexpr (kSign == Score::identity)
            *uncertain = lanes_without_kept_scores(entry, rows) & (total > 0.0F);
    } else if constexpr (!kColumnsAreExact<kDtype, kScore>) {
        // Scores that underflowed may lack more than rounding takes from others.
        constexpr float kLeastTotal = 0x1p-100F;
        *uncertain |= total < kLeastTotal;
    }
    return rows;
}

// The same, and from doubles where they help. Returns the lanes that need another road.
template <int kN, Dtype kDtype, Score kScore, bool kTurned>
inline __attribute__((always_inline)) std::uint64_t decide_elements(const Floats (*entry)[4],
                                                                    FourRows<Floats>& rows) {
    constexpr Score kSign = kScore == Score::identity ? Score::identity : Score::abs;
    return decide_upright<kTurned>(
        entry, rows,
        [](const auto* upright, FourRows<Floats>& masks) __attribute__((always_inline)) {
            if constexpr (kColumnsAreExact<kDtype, kScore>)
                return decide<kN, kSign>(upright, kTotalOfInfinity<kDtype, kScore>, masks);
            Int32s uncertain;
            masks = mask_elements<kN, kDtype, kScore>(upright, &uncertain);
            return bits_of(uncertain);
        });
}

}  // namespace tnm::TNM_ISA
