#include "fast_path/strip_kernels.hpp"

#include "simd/kernel_tables.hpp"

namespace tnm {

TNM_KERNELS_IN_USE(StripKernels, kStripKernels, strip_kernels)

}  // namespace tnm
