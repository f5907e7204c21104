// Masks of 4 x 4 tiles straight from memory to memory, for whole strips of neighbouring elements.
//
// Nothing but registers lies between the elements and the mask's bytes, but where rounding might
// decide. Where doubles do not help, the run stops, and the road over loaded strips takes over.
#pragma once

#include "elements/by_element-inl.hpp"
#include "fast_path/kernels/four_by_four/load_columns-inl.hpp"
#include "fast_path/strip.hpp"
#include "fast_path/strip_kernels.hpp"

namespace tnm::TNM_ISA {

// From doubles, for strips in which rounding might decide. Where one is close, its neighbours
// mostly are: stops after the first that is not, and before one that needs another road; returns
// how many are done.
template <int kN, Dtype kDtype, Score kScore, bool kTurned>
__attribute__((noinline)) int mask_uncertain_strips(const std::byte* data, std::int64_t row_stride,
                                                    int strips, std::uint8_t* mask,
                                                    std::int64_t mask_row_stride) {
    constexpr int kGroupColumns = 4 * kLanes<Floats>;
    constexpr Score kSign = kScore == Score::identity ? Score::identity : Score::abs;
    for (int strip = 0; strip < strips; ++strip) {
        bool close = false;
        for (int c = strip * kStripColumns; c < (strip + 1) * kStripColumns; c += kGroupColumns) {
            Floats entry[4][4];
            for (int i = 0; i < 4; ++i)
                load_columns<kDtype, kScore>(data + i * row_stride + c * kDtypeBytes<kDtype>,
                                             entry[i]);
            FourRows<Floats> rows{};
            const auto decide = [&](const auto* upright, FourRows<Floats>& masks) {
                return decide_in_doubles<kN, kSign>(upright, kTotalOfInfinity<kDtype, kScore>,
                                                    masks, close);
            };
            if (!decide_upright<kTurned>(entry, rows, decide)) return strip;
            for (int i = 0; i < 4; ++i)
                store(reinterpret_cast<std::int32_t*>(mask + i * mask_row_stride + c),
                      in_tile_order<kTileOrder<kDtype>>(rows.row[i]));
        }
        if (!close) return strip + 1;
    }
    return strips;
}

// Stops at the first strip in which rounding might decide: a call inside this loop would cost a
// tenth, because constants then do not stay in registers.
template <int kN, Dtype kDtype, Score kScore, bool kTurned>
__attribute__((noinline)) int mask_certain_strips(const std::byte* data, std::int64_t row_stride,
                                                  int strips, std::uint8_t* mask,
                                                  std::int64_t mask_row_stride) {
    constexpr int kGroupColumns = 4 * kLanes<Floats>;
    for (int strip = 0; strip < strips; ++strip) {
        Int32s uncertain{};
        for (int c = strip * kStripColumns; c < (strip + 1) * kStripColumns; c += kGroupColumns) {
            Floats entry[4][4];
            for (int i = 0; i < 4; ++i)
                load_columns<kDtype, kScore>(data + i * row_stride + c * kDtypeBytes<kDtype>,
                                             entry[i]);
            FourRows<Floats> rows;
            uncertain |= decide_upright<kTurned>(
                entry, rows,
                [](const auto* upright, FourRows<Floats>& masks) __attribute__((always_inline)) {
                    Int32s uncertain_tiles;
                    masks = mask_elements<kN, kDtype, kScore>(upright, &uncertain_tiles);
                    return uncertain_tiles;
                });
            for (int i = 0; i < 4; ++i)
                store(reinterpret_cast<std::int32_t*>(mask + i * mask_row_stride + c),
                      in_tile_order<kTileOrder<kDtype>>(rows.row[i]));
        }
        if (bits_of(uncertain) != 0) return strip;
    }
    return strips;
}

template <int kN, Dtype kDtype, Score kScore, bool kTurned>
int mask_run_of_four(const std::byte* data, std::int64_t row_stride, int strips, std::uint8_t* mask,
                     std::int64_t mask_row_stride) {
    constexpr int kStripBytes = kStripColumns * kDtypeBytes<kDtype>;
    int strip = 0;
    const auto run = [&](auto kernel) {
        const int done = kernel(data + strip * kStripBytes, row_stride, strips - strip,
                                mask + strip * kStripColumns, mask_row_stride);
        strip += done;
        return done;
    };
    if constexpr (kColumnsAreExact<kDtype, kScore>) {
        do run(mask_certain_strips<kN, kDtype, kScore, kTurned>);
        while (strip < strips && run(mask_uncertain_strips<kN, kDtype, kScore, kTurned>) > 0);
    } else {
        run(mask_certain_strips<kN, kDtype, kScore, kTurned>);
    }
    return strip;
}

template <int kN, bool kTurned>
inline MaskRun mask_run(Dtype dtype, Score score) {
    return by_element<MaskRun>(dtype, score, []<Dtype kDtype, Score kScore>() -> MaskRun {
        // Every one of them takes its time to compile.
        if constexpr (kN != 2 && !kColumnsAreExact<kDtype, kScore>)
            return nullptr;
        else
            return mask_run_of_four<kN, kDtype, kScore, kTurned>;
    });
}

template <bool kTurned>
inline MaskRun mask_run(Pattern pattern, Dtype dtype, Score score) {
    if (pattern.m != 4) return nullptr;
    return pattern.n == 1   ? mask_run<1, kTurned>(dtype, score)
           : pattern.n == 2 ? mask_run<2, kTurned>(dtype, score)
                            : mask_run<3, kTurned>(dtype, score);
}

inline MaskRun four_by_four_run(Pattern pattern, Dtype dtype, Score score, bool turned) {
    return turned ? mask_run<true>(pattern, dtype, score) : mask_run<false>(pattern, dtype, score);
}

}  // namespace tnm::TNM_ISA
