#include "proof/proof_kernels.hpp"

#include "simd/kernel_tables.hpp"

namespace tnm {

TNM_KERNELS_IN_USE(ProofKernels, kProofKernels, proof_kernels)

}  // namespace tnm
