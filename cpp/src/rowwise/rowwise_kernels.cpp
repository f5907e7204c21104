#include "rowwise/rowwise_kernels.hpp"

#include "simd/kernel_tables.hpp"

namespace tnm {

TNM_KERNELS_IN_USE(RowwiseKernels, kRowwiseKernels, rowwise_kernels)

}  // namespace tnm
