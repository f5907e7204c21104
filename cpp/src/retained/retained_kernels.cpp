#include "retained/retained_kernels.hpp"

#include "simd/kernel_tables.hpp"

namespace tnm {

TNM_KERNELS_IN_USE(RetainedKernels, kRetainedKernels, retained_kernels)

}  // namespace tnm
