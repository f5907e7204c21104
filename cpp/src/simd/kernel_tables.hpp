// From kernels that are compiled once for each instruction set to those in use.
//
// Such kernels end with a table of pointers to them, in the namespace of their instruction set:
//
//     extern const SomeKernels kSomeKernels;
//     const SomeKernels kSomeKernels = {.first = first, .second = second};
//
// TNM_KERNELS_IN_USE(SomeKernels, kSomeKernels, some_kernels), in namespace tnm of one source file,
// defines `const SomeKernels& some_kernels()`, which returns the table of the chosen one.
#pragma once

#include "simd/instruction_set.hpp"

#if defined(TNM_BUILD_X86_KERNELS)
#define TNM_KERNELS_IN_USE(Table, kTable, function)                                   \
    namespace baseline {                                                              \
    extern const Table kTable;                                                        \
    }                                                                                 \
    namespace avx2 {                                                                  \
    extern const Table kTable;                                                        \
    }                                                                                 \
    namespace avx512 {                                                                \
    extern const Table kTable;                                                        \
    }                                                                                 \
    const Table& function() {                                                         \
        static constexpr const Table* kTables[] = {&baseline::kTable, &avx2::kTable,  \
                                                   &avx512::kTable, &avx512::kTable}; \
        return *kTables[static_cast<int>(choose_instruction_set().set)];              \
    }
#else
#define TNM_KERNELS_IN_USE(Table, kTable, function) \
    namespace baseline {                            \
    extern const Table kTable;                      \
    }                                               \
    const Table& function() {                       \
        return baseline::kTable;                    \
    }
#endif
