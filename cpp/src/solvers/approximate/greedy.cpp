#include <algorithm>

#include "solvers/approximate/approximate_solvers.hpp"
#include "solvers/approximate/completion.hpp"

namespace tnm {
namespace {

// What the rows alone, or the columns alone, allow any mask to keep.
double most_kept_score(const ScoreTile& scores, const std::vector<int>& order) {
    const auto highest = sum_first(scores, order.begin(), order.end(), scores.pattern.n);
    return std::min(highest.rows, highest.columns);
}

}  // namespace

void GreedySolver::solve(const ScoreTile& scores, TileMask& mask, TilePrices* prices) {
    order_by_score(scores, order_);
    mask.reset(scores.rows);
    fill_greedily(scores, order_, mask);
    if (!complete_ || !scores.full()) return;
    complete_by_exchange(scores, mask);
    // An exchange may give up more than it gains; see TwoApproximationSolver::solve.
    const double offsets = scores.offset() * scores.rows * scores.pattern.n;
    if (2.0 * total_score(scores, mask, true) + offsets < most_kept_score(scores, order_))
        optimal_.solve(scores, mask, prices);
}

}  // namespace tnm
