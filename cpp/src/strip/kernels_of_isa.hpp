// The table of one instruction set; see lanes.hpp for what the including file defines.
#pragma once

#include "strip/load_strip.hpp"
#include "strip/solve_strip.hpp"
#include "strip/store_strip.hpp"
#include "strip/strip_kernels.hpp"

namespace tnm::TNM_ISA {

template <int kM, class T>
SolveStrip<T> solver_of(int n) {
    if (n == kM) return nullptr;
    return n == kM / 2 ? solve_strip<kM, kM / 2, T> : solve_strip<kM, 0, T>;
}

template <class T>
SolveStrip<T> solver(Pattern pattern) {
    switch (pattern.m) {
        case 8:
            return solver_of<8, T>(pattern.n);
        case 16:
            return solver_of<16, T>(pattern.n);
        case 32:
            return solver_of<32, T>(pattern.n);
        case 64:
            return solver_of<64, T>(pattern.n);
        default:
            return nullptr;
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
    TNM_NAME(TNM_ISA), supported,     solver<float>, solver<double>,
    float_loader,      double_loader, store_strip,
};

}  // namespace tnm::TNM_ISA
