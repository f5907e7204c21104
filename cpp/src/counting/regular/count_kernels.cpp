#include "counting/regular/count_pass.hpp"
#include "simd/kernel_tables.hpp"

namespace tnm {

TNM_KERNELS_IN_USE(CountKernels, kCountKernels, count_kernels)

}  // namespace tnm
