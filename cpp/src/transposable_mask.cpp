#include <cmath>

#include "approximate/approximate_solvers.hpp"
#include "optimal/certificate.hpp"
#include "optimal/optimal_solver.hpp"
#include "parallel/guarded.hpp"
#include "strip/strip_pipeline.hpp"
#include "tiles/solve_tiles.hpp"
#include "tnm/transposable.hpp"

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

void write_prices(const double* prices, int count, int exponent, double* target, int m) {
    for (int k = 0; k < m; ++k) target[k] = k < count ? std::ldexp(prices[k], exponent) : 0.0;
}

void write_proof(const CertificateView& certificate, std::int64_t index, const ScoreTile& scores,
                 const TileMask& mask, const TilePrices& prices) {
    const TileProof proof = prove(scores, mask, prices);
    certificate.primal[index] = proof.primal;
    certificate.dual[index] = proof.dual;
    certificate.gap[index] = proof.gap;
    const int m = scores.pattern.m;
    write_prices(prices.row.data(), scores.rows, prices.exponent,
                 certificate.row_prices + index * m, m);
    write_prices(prices.column.data(), scores.columns, prices.exponent,
                 certificate.column_prices + index * m, m);
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
