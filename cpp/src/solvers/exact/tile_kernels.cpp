#include "solvers/exact/tile_kernels.hpp"

#include "simd/kernel_tables.hpp"

namespace tnm {

TNM_KERNELS_IN_USE(TileKernels, kTileKernels, tile_kernels)

}  // namespace tnm
