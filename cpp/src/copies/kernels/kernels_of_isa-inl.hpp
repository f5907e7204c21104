// The copies' table of one instruction set; see simd/vectors-inl.hpp for what the including file
// defines.
#pragma once

#include "copies/kernels/transpose_copy-inl.hpp"

namespace tnm::TNM_ISA {

extern const CopyKernels kCopyKernels;
const CopyKernels kCopyKernels = {
    .transposing_copy = transposing_copy,
    .strided_row_copy = strided_row_copy,
};

}  // namespace tnm::TNM_ISA
