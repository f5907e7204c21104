// 2:4 masks straight from memory to memory, for whole strips of neighbouring elements.
//
// Nothing but registers lies between the elements and the mask's bytes, but where rounding might
// decide. Where doubles do not help, the run stops, and the road over loaded strips takes over.
#pragma once

#include "fast_path/kernels/four_by_four/columns-inl.hpp"
#include "fast_path/kernels/strip/dispatch-inl.hpp"
#include "fast_path/strip.hpp"
#include "fast_path/strip_kernels.hpp"

namespace tnm::TNM_ISA {

// The bits of the scores whose bits in memory, after a shift to the upper end, are given.
template <Score kScore, class Bits>
inline __attribute__((always_inline)) Bits score_bits(Bits bits) {
    return kScore == Score::abs ? bits & 0x7fffffff : bits;
}

// A float16, moved so that its exponent lies where a float has its own: its value times 2^-112,
// denormals included. The factor makes no difference to the mask.
template <Score kScore>
inline __attribute__((always_inline)) Int32s shrink_float16(Int32s bits) {
    const Int32s shrunk = (bits & 0x7fff0000) >> 3;
    if constexpr (kScore == Score::abs) return shrunk;
    return shrunk | (bits & static_cast<std::int32_t>(0x80000000U));
}

// Where this is the least of what an infinity among the scores can make of a sum of magnitudes.
template <Dtype kDtype>
inline constexpr float kTotalOfInfinity = kDtype == Dtype::float16 ? 0x1p-96F : __builtin_inff();

template <Dtype kDtype, Score kScore>
inline __attribute__((always_inline)) Floats score_of_half(Int32s upper_half) {
    if constexpr (kDtype == Dtype::float16)
        return reinterpret_cast<Floats>(shrink_float16<kScore>(upper_half));
    else
        return reinterpret_cast<Floats>(score_bits<kScore>(upper_half));
}

// Columns 0 to 3 of as many tiles as a vector has lanes. Two 16-bit floats share 32 bits: the even
// column is shifted up, the odd one is there already.
template <Dtype kDtype, Score kScore>
inline __attribute__((always_inline)) void load_columns(const std::byte* row, Floats* column) {
    const auto words = [row](int k) __attribute__((always_inline)) {
        return load<Int32s>(reinterpret_cast<const std::int32_t*>(row + k * kVectorBytes));
    };
    if constexpr (kDtype == Dtype::float32) {
        const auto scores = [&](int k) __attribute__((always_inline)) {
            return reinterpret_cast<Floats>(score_bits<kScore>(words(k)));
        };
        split_columns(scores(0), scores(1), scores(2), scores(3), column);
    } else {
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
    }
}

// From doubles, for strips in which rounding might decide. Where one ties, its neighbours mostly
// do: stops after the first without a tie, and before one that needs another road; returns how many
// are done.
template <Dtype kDtype, Score kScore>
__attribute__((noinline)) int mask_uncertain_strips(const std::byte* data, std::int64_t row_stride,
                                                    int strips, std::uint8_t* mask,
                                                    std::int64_t mask_row_stride) {
    constexpr int kItemBytes = kDtype == Dtype::float32 ? 4 : 2;
    constexpr TileOrder kOrder =
        kDtype == Dtype::float32 ? TileOrder::from_words : TileOrder::from_halves;
    constexpr int kGroupColumns = 4 * kLanes<Floats>;
    for (int strip = 0; strip < strips; ++strip) {
        bool tied = false;
        for (int c = strip * kStripColumns; c < (strip + 1) * kStripColumns; c += kGroupColumns) {
            Floats entry[4][4];
            for (int i = 0; i < 4; ++i)
                load_columns<kDtype, kScore>(data + i * row_stride + c * kItemBytes, entry[i]);
            FourRows<Floats> rows{};
            if (!decide_in_doubles<kScore>(entry, kTotalOfInfinity<kDtype>, rows, tied))
                return strip;
            for (int i = 0; i < 4; ++i)
                store(reinterpret_cast<std::int32_t*>(mask + i * mask_row_stride + c),
                      in_tile_order<kOrder>(rows.row[i]));
        }
        if (!tied) return strip + 1;
    }
    return strips;
}

// Stops at the first strip in which rounding might decide: a call inside this loop would cost a
// tenth, because constants then do not stay in registers.
template <Dtype kDtype, Score kScore>
__attribute__((noinline)) int mask_certain_strips(const std::byte* data, std::int64_t row_stride,
                                                  int strips, std::uint8_t* mask,
                                                  std::int64_t mask_row_stride) {
    constexpr int kItemBytes = kDtype == Dtype::float32 ? 4 : 2;
    constexpr TileOrder kOrder =
        kDtype == Dtype::float32 ? TileOrder::from_words : TileOrder::from_halves;
    constexpr int kGroupColumns = 4 * kLanes<Floats>;
    for (int strip = 0; strip < strips; ++strip) {
        Int32s uncertain{};
        for (int c = strip * kStripColumns; c < (strip + 1) * kStripColumns; c += kGroupColumns) {
            Floats entry[4][4];
            for (int i = 0; i < 4; ++i)
                load_columns<kDtype, kScore>(data + i * row_stride + c * kItemBytes, entry[i]);
            Int32s uncertain_tiles;
            const FourRows<Floats> rows =
                two_of_four_floats<kScore>(entry, kTotalOfInfinity<kDtype>, &uncertain_tiles);
            uncertain |= uncertain_tiles;
            for (int i = 0; i < 4; ++i)
                store(reinterpret_cast<std::int32_t*>(mask + i * mask_row_stride + c),
                      in_tile_order<kOrder>(rows.row[i]));
        }
        if (bits_of(uncertain) != 0) return strip;
    }
    return strips;
}

template <Dtype kDtype, Score kScore>
int mask_run_two_of_four(const std::byte* data, std::int64_t row_stride, int strips,
                         std::uint8_t* mask, std::int64_t mask_row_stride) {
    constexpr int kStripBytes = kStripColumns * (kDtype == Dtype::float32 ? 4 : 2);
    int strip = 0;
    const auto run = [&](auto kernel) {
        const int done = kernel(data + strip * kStripBytes, row_stride, strips - strip,
                                mask + strip * kStripColumns, mask_row_stride);
        strip += done;
        return done;
    };
    do run(mask_certain_strips<kDtype, kScore>);
    while (strip < strips && run(mask_uncertain_strips<kDtype, kScore>) > 0);
    return strip;
}

inline MaskRun four_by_four_run(Pattern pattern, Dtype dtype, Score score) {
    if (pattern.n != 2 || pattern.m != 4) return nullptr;
    return by_float_type<MaskRun>(dtype, score, []<Dtype kDtype, Score kScore>() {
        return mask_run_two_of_four<kDtype, kScore>;
    });
}

}  // namespace tnm::TNM_ISA
