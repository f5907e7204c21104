// The kernels of the proof: what is compiled once for each instruction set.
#pragma once

#include <cstdint>

#include "simd/tiles_in_lanes.hpp"

namespace tnm {

// Bit t of the result is set if the prices of tile t prove its mask without a gap: it keeps n in
// every row and column, no dropped entry is worth more than its two prices, no kept one less. Then
// the bound is what the mask keeps, totals[t]; there is room for 64.
template <class T>
using ProveTiles = std::uint64_t (*)(const TilesInLanes<T>& tiles, double* totals);

struct ProofKernels {
    ProveTiles<float> floats;
    ProveTiles<double> doubles;

    ProveTiles<float> of(float) const { return floats; }
    ProveTiles<double> of(double) const { return doubles; }
};

// Those of the instruction set in use.
const ProofKernels& proof_kernels();

}  // namespace tnm
