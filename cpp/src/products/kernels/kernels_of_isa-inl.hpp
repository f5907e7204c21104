// The products' table of one instruction set; see simd/vectors-inl.hpp for what the including file
// defines.
#pragma once

#include "products/kernels/few-inl.hpp"
#include "products/kernels/finish-inl.hpp"
#include "products/kernels/panel-inl.hpp"

namespace tnm::TNM_ISA {

extern const ProductKernels kProductKernels;
const ProductKernels kProductKernels = {
    .lanes = kFloats,
    .most_vectors = kMostVectors,
    .most_few = kMostFewTokens,
    .load_panel = load_panel,
    .multiply_panel = multiply_panel,
    .turn_panel = turn_panel,
    .load_few = load_few,
    .multiply_few = multiply_few,
    .turn_few = turn_few,
    .finish = finish,
    .widen = widen,
    .compress = compress,
};

}  // namespace tnm::TNM_ISA
