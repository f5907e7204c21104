// The table of one instruction set; see simd/lanes-inl.hpp for what the including file defines.
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

inline bool supported() {
#if defined(__AVX512BW__)
    return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
           __builtin_cpu_supports("avx512cd") && __builtin_cpu_supports("avx512dq") &&
           __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("bmi2");
#elif defined(__AVX2__)
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
           __builtin_cpu_supports("bmi") && __builtin_cpu_supports("bmi2");
#else
    return true;
#endif
}

#define TNM_NAME_OF(isa) #isa
#define TNM_NAME(isa) TNM_NAME_OF(isa)

extern const StripKernels kStripKernels;
const StripKernels kStripKernels = {
    TNM_NAME(TNM_ISA), supported,         solver<float>,
    solver<double>,    four_by_four,      four_by_four_exactly<double>,
    four_by_four_run,  four_by_four_down, rowwise<float>,
    rowwise<double>,   float_loader,      double_loader,
    store_strip,       transposing_copy,
};

}  // namespace tnm::TNM_ISA
