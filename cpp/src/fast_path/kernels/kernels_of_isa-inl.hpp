// The table of one instruction set; see simd/vectors-inl.hpp for what the including file defines.
#pragma once

#include "fast_path/kernels/dual/solve_strip-inl.hpp"
#include "fast_path/kernels/four_by_four/column_major-inl.hpp"
#include "fast_path/kernels/four_by_four/run-inl.hpp"
#include "fast_path/kernels/four_by_four/strip-inl.hpp"
#include "fast_path/kernels/load_strip-inl.hpp"
#include "fast_path/kernels/rowwise-inl.hpp"
#include "fast_path/kernels/store_strip-inl.hpp"
#include "fast_path/kernels/transpose_copy-inl.hpp"
#include "fast_path/strip_kernels.hpp"

namespace tnm::TNM_ISA {

template <int kW, class T>
SolveStrip<T> solver_of(Pattern pattern) {
    if (pattern.m < kW) return solve_strip<kW, true, 0, T>;
    return pattern.n == kW / 2 ? solve_strip<kW, false, kW / 2, T> : solve_strip<kW, false, 0, T>;
}

template <class T>
SolveStrip<T> solver(Pattern pattern) {
    switch (field_width(pattern.m)) {
        case 4:
            return solver_of<4, T>(pattern);
        case 8:
            return solver_of<8, T>(pattern);
        case 16:
            return solver_of<16, T>(pattern);
        case 32:
            return solver_of<32, T>(pattern);
        default:
            return solver_of<64, T>(pattern);
    }
}

extern const StripKernels kStripKernels;
const StripKernels kStripKernels = {
    .floats =
        {
            .solver = solver<float>,
            .four_by_four = four_by_four<float>,
            .rowwise = rowwise<float>,
            .loader = float_loader,
        },
    .doubles =
        {
            .solver = solver<double>,
            .four_by_four = four_by_four<double>,
            .rowwise = rowwise<double>,
            .loader = double_loader,
        },
    .four_by_four_run = four_by_four_run,
    .four_by_four_column_major = four_by_four_column_major,
    .store = store_strip,
    .transposing_copy = transposing_copy,
};

}  // namespace tnm::TNM_ISA
