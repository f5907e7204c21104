#include "tnm/transposable.hpp"

#include <optional>

#include "fast_path/solve.hpp"
#include "parallel/guarded.hpp"
#include "proof/certificate_writer.hpp"
#include "solvers/approximate/approximate_solvers.hpp"
#include "solvers/exact/optimal_solver.hpp"

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

}  // namespace

Status transposable_mask(const ArrayView& scores, const MaskView& mask,
                         const TransposableOptions& options, const CertificateView* certificate,
                         const Execution& execution) {
    const bool exact = options.method == Method::optimal;
    if (certificate != nullptr && !exact) return Status::invalid_argument;
    return guarded([&] {
        std::optional<CertificateWriter> writer;
        if (certificate != nullptr) writer.emplace(*certificate);
        const SolveRequest request{exact ? SolveMethod::exact : SolveMethod::approximate,
                                   scores,
                                   mask,
                                   options.pattern,
                                   options.score,
                                   [&] { return make_solver(options); },
                                   writer ? &*writer : nullptr};
        return solve(request, execution);
    });
}

}  // namespace tnm
