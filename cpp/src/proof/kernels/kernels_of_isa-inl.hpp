// The proof's table of one instruction set; see simd/vectors-inl.hpp for what the including file
// defines.
#pragma once

#include "proof/kernels/prove_tiles-inl.hpp"
#include "proof/proof_kernels.hpp"

namespace tnm::TNM_ISA {

extern const ProofKernels kProofKernels;
const ProofKernels kProofKernels = {
    .floats = prove_tiles<float>,
    .doubles = prove_tiles<double>,
};

}  // namespace tnm::TNM_ISA
