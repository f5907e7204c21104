// Taking the tiles of a run, a strip at a time, through load, solve, prove and store.
//
// Full tiles go through the kernels of the instruction set in use; edge tiles and the few full ones
// that the kernels leave go to the general solver of the method.
#pragma once

#include <memory>

#include "tiles/load_scores.hpp"
#include "tiles/prefetcher.hpp"
#include "tiles/solve_request.hpp"
#include "tiles/walk_tiles.hpp"
#include "tnm/status.hpp"

namespace tnm {

// Owns the scratch memory of one thread. The request outlives it.
class StripPipeline {
  public:
    virtual ~StripPipeline() = default;
    // `elements` and `flags` are those of the run, wherever they lie; those of a row are
    // neighbours. `next_rows`: what will be read after the run, if that is not what follows it in
    // memory; for runs of one strip.
    virtual Status operator()(const TileRun& run, const ElementsInMemory& elements,
                              const FlagsInMemory& flags,
                              const RowsInMemory* next_rows = nullptr) = 0;
};

// For m <= kLargestStripM and n < m.
std::unique_ptr<StripPipeline> make_strip_pipeline(const SolveRequest& request);

}  // namespace tnm
