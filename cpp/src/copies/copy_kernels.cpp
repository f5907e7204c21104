#include "copies/copy_kernels.hpp"

#include "simd/kernel_tables.hpp"

namespace tnm {

TNM_KERNELS_IN_USE(CopyKernels, kCopyKernels, copy_kernels)

}  // namespace tnm
