#include <algorithm>
#include <array>

#include "solvers/approximate/approximate_solvers.hpp"
#include "solvers/approximate/completion.hpp"

namespace tnm {
namespace {

double kept_score(const ScoreTile& scores, const TileMask& mask) {
    double sum = 0.0;
    for (int i = 0; i < scores.rows; ++i)
        for (int j = 0; j < scores.columns; ++j)
            if (mask.test(i, j)) sum += scores(i, j);
    return sum;
}

// What the rows alone, or the columns alone, allow any mask to keep.
double most_kept_score(const ScoreTile& scores, const std::vector<int>& order) {
    std::array<int, kMaxM> from_row{}, from_column{};
    double by_rows = 0.0, by_columns = 0.0;
    for (const int position : order) {
        const int i = position / scores.columns, j = position % scores.columns;
        if (from_row[i]++ < scores.pattern.n) by_rows += scores(i, j);
        if (from_column[j]++ < scores.pattern.n) by_columns += scores(i, j);
    }
    return std::min(by_rows, by_columns);
}

}  // namespace

void GreedySolver::solve(const ScoreTile& scores, TileMask& mask, TilePrices* prices) {
    order_by_score(scores, order_);
    mask.reset(scores.rows);
    fill_greedily(scores, order_, mask);
    if (!complete_ || !scores.full()) return;
    complete_by_exchange(scores, mask);
    // An exchange may give up more than it gains; see TwoApproximationSolver::solve.
    if (2.0 * kept_score(scores, mask) < most_kept_score(scores, order_))
        optimal_.solve(scores, mask, prices);
}

}  // namespace tnm
