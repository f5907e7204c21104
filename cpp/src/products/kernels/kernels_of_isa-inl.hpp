// The products' table of one instruction set; see simd/vectors-inl.hpp for what the including file
// defines.
#pragma once

#include "products/kernels/few-inl.hpp"
#include "products/kernels/finish-inl.hpp"
#include "products/kernels/multiply_panel-inl.hpp"
#include "products/kernels/panel-inl.hpp"

namespace tnm::TNM_ISA {

extern const ProductKernels kProductKernels;
const ProductKernels kProductKernels = {
    .lanes = kFloats,
    .most_few = kMostFewTokens,
    .panel =
        {
            .lanes = kFloats,
            .most_vectors = kMostVectors,
            .load = load_panel,
            .multiply = multiply_panel,
        },
    .turn_panel = turn_panel,
    .load_few = load_few,
    .multiply_few = multiply_few,
    .turn_few = turn_few,
    .finish = finish,
    .finish_rows = finish_rows,
    .widen = widen,
};

}  // namespace tnm::TNM_ISA
