#include "tnm/transposable.hpp"
#include "fast_path/strip_pipeline.hpp"
#include "parallel/guarded.hpp"
#include "proof/write_proof.hpp"
#include "solvers/approximate/approximate_solvers.hpp"
#include "solvers/exact/optimal_solver.hpp"
#include "tiles/solve_tiles.hpp"

namespace tnm {
namespace {

std::unique_ptr<TileSolver> make_solver(const TransposableOptions& options) {
    switch (options.method) {
        case Method::two_approximation:
            return std::make_unique<TwoApproximationSolver>(options.complete);
        case Method::greedy:
            return std::make_unique<GreedySolver>(options.complete);
        case Method::optimal:
            break;
    }
    return std::make_unique<OptimalSolver>();
}

Status solve(const ArrayView& scores, const MaskView& mask, const TransposableOptions& options,
             const CertificateView* certificate, const Execution& execution) {
    TileObserver observer;
    if (certificate != nullptr) {
        if (options.method != Method::optimal) return Status::invalid_argument;
        observer = [certificate](std::int64_t index, const ScoreTile& tile, const TileMask& kept,
                                 const TilePrices& prices) {
            write_proof(*certificate, index, tile, kept, prices);
        };
    }
    if (options.method == Method::optimal && options.pattern.valid() &&
        has_strip_kernels(options.pattern))
        return solve_strips(StripMethod::optimal, scores, mask, options.pattern, options.score,
                            observer, execution);
    return solve_tiles(
        scores, mask, options.pattern, options.score, [&] { return make_solver(options); },
        observer, execution);
}

}  // namespace

Status transposable_mask(const ArrayView& scores, const MaskView& mask,
                         const TransposableOptions& options, const CertificateView* certificate,
                         const Execution& execution) {
    return guarded([&] { return solve(scores, mask, options, certificate, execution); });
}

}  // namespace tnm
