// Optimal masks and prices of a strip, by prices that the kernels propose and paths that mend them.
#pragma once

#include "fast_path/pipelines/single_tiles.hpp"
#include "fast_path/prefetcher.hpp"
#include "fast_path/strip_kernels.hpp"

namespace tnm {

template <class T>
class DualSolver {
  public:
    explicit DualSolver(Pattern pattern)
        : pattern_(pattern), solve_(strip_kernels().of<T>().solver(pattern)) {}

    // Of the first `tiles` tiles; what the kernel leaves goes to `singly`.
    void operator()(const StripScores<T>& scores, int tiles, Prefetcher prefetcher,
                    SingleTiles<T>& singly, StripSolution& solution) const;

  private:
    const Pattern pattern_;
    const SolveStrip<T> solve_;
};

}  // namespace tnm
