#include "tnm/rowwise.hpp"
#include "fast_path/strip_pipeline.hpp"
#include "parallel/guarded.hpp"
#include "solvers/rowwise/rowwise_solver.hpp"
#include "tiles/solve_tiles.hpp"

namespace tnm {

Status nm_mask(const ArrayView& scores, const MaskView& mask, const Pattern& pattern, Score score,
               const Execution& execution) {
    return guarded([&] {
        if (pattern.valid() && has_strip_kernels(pattern))
            return solve_strips(StripMethod::rowwise, scores, mask, pattern, score, {}, execution);
        return solve_tiles(
            scores, mask, pattern, score, [] { return std::make_unique<RowwiseSolver>(); }, {},
            execution);
    });
}

}  // namespace tnm
