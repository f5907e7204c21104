// The table of one instruction set; see simd/vectors-inl.hpp for what the including file defines.
#pragma once

#include "solvers/exact/kernels/augment_tile-inl.hpp"
#include "solvers/exact/kernels/separate_lines-inl.hpp"
#include "solvers/exact/kernels/warm_start-inl.hpp"
#include "solvers/exact/tile_kernels.hpp"

namespace tnm::TNM_ISA {

extern const TileKernels kTileKernels;
const TileKernels kTileKernels = {
    .propose_prices = tile::propose_prices,
    .solve = tile::solve,
    .solve_separate_lines = tile::solve_separate_lines,
};

}  // namespace tnm::TNM_ISA
