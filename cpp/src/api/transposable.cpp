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

SolveRequest request_for(const ArrayView& scores, const MaskView& mask,
                         const TransposableOptions& options) {
    const bool exact = options.method == Method::optimal;
    return {exact ? SolveMethod::exact : SolveMethod::approximate,
            scores,
            mask,
            options.pattern,
            options.score,
            [options] { return make_solver(options); },
            {}};
}

}  // namespace

Status transposable_mask(const ArrayView& scores, const MaskView& mask,
                         const TransposableOptions& options, const CertificateView* certificate,
                         const Execution& execution) {
    if (certificate != nullptr && options.method != Method::optimal)
        return Status::invalid_argument;
    return guarded([&] {
        std::optional<CertificateWriter> writer;
        if (certificate != nullptr) writer.emplace(*certificate);
        SolveRequest request = request_for(scores, mask, options);
        if (writer) request.observer = &*writer;
        return solve(request, execution);
    });
}

RoadReport road_of(const ArrayView& scores, const MaskView& mask,
                   const TransposableOptions& options, bool certified) {
    SolveRequest request = request_for(scores, mask, options);
    const CertificateView none;
    CertificateWriter nowhere(none);
    if (certified) request.observer = &nowhere;
    return road_of(request);
}

}  // namespace tnm
