#include "tnm/rowwise.hpp"

#include "fast_path/solve.hpp"
#include "parallel/guarded.hpp"
#include "solvers/rowwise/rowwise_solver.hpp"

namespace tnm {

Status nm_mask(const ArrayView& scores, const MaskView& mask, const Pattern& pattern, Score score,
               const Execution& execution) {
    return guarded([&] {
        const auto make_solver = [] { return std::make_unique<RowwiseSolver>(); };
        return solve({SolveMethod::rowwise, scores, mask, pattern, score, make_solver, {}},
                     execution);
    });
}

}  // namespace tnm
