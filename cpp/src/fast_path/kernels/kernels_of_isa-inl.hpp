// The table of one instruction set; see simd/vectors-inl.hpp for what the including file defines.
#pragma once

#include "fast_path/kernels/dual/solve_strip-inl.hpp"
#include "fast_path/kernels/four_by_four/column_major-inl.hpp"
#include "fast_path/kernels/four_by_four/prices-inl.hpp"
#include "fast_path/kernels/four_by_four/run-inl.hpp"
#include "fast_path/kernels/four_by_four/strip-inl.hpp"
#include "fast_path/kernels/strip/by_field_width-inl.hpp"
#include "fast_path/kernels/strip/load_strip-inl.hpp"
#include "fast_path/kernels/strip/store_strip-inl.hpp"
#include "fast_path/strip_kernels.hpp"

namespace tnm::TNM_ISA {

template <class T>
SolveStrip<T> solver(Pattern pattern) {
    return by_field_width(pattern.m, [&]<int kW>() -> SolveStrip<T> {
        if (pattern.m < kW) return solve_strip<kW, true, 0, T>;
        if (pattern.n == kW / 2) return solve_strip<kW, false, kW / 2, T>;
        return solve_strip<kW, false, 0, T>;
    });
}

extern const StripKernels kStripKernels;
const StripKernels kStripKernels = {
    .floats =
        {
            .solver = solver<float>,
            .four_by_four = four_by_four<float>,
            .price_four_by_four = {price_tiles_of_four<float>, price_tiles_of_four_tightly<float>},
            .loader = loader<float>,
        },
    .doubles =
        {
            .solver = solver<double>,
            .four_by_four = four_by_four<double>,
            .price_four_by_four = {price_tiles_of_four<double>,
                                   price_tiles_of_four_tightly<double>},
            .loader = loader<double>,
        },
    .four_by_four_run = four_by_four_run,
    .four_by_four_column_major = four_by_four_column_major,
    .store = store_strip,
};

}  // namespace tnm::TNM_ISA
