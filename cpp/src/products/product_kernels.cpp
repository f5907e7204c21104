#include "products/product_kernels.hpp"

#include "simd/kernel_tables.hpp"

namespace tnm {

TNM_KERNELS_IN_USE(ProductKernels, kProductKernels, product_kernels)

}  // namespace tnm
