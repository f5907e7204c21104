#include <algorithm>
#include <array>

#include "solvers/approximate/approximate_solvers.hpp"
#include "solvers/approximate/completion.hpp"

namespace tnm {
namespace {

// Walking all entries from high to low, the first n met in a row are its top n; likewise columns.
void keep_top_of_row_and_column(const ScoreTile& scores, const std::vector<int>& order,
                                TileMask& mask) {
    std::array<int, kMaxM> met_in_row{}, met_in_column{};
    mask.reset(scores.rows);
    for (const int position : order) {
        const int i = position / scores.columns, j = position % scores.columns;
        if (!scores.full() && scores.order(i, j) <= 0.0) break;
        const bool row_top = met_in_row[i]++ < scores.pattern.n;
        const bool column_top = met_in_column[j]++ < scores.pattern.n;
        if (row_top && column_top) mask.set(i, j);
    }
}

// What the rows alone, or the columns alone, force any mask to prune.
double least_pruned_score(const ScoreTile& scores, const std::vector<int>& order) {
    const int pruned = scores.pattern.m - scores.pattern.n;
    const auto lowest = sum_first(scores, order.rbegin(), order.rend(), pruned);
    return std::max(lowest.rows, lowest.columns);
}

}  // namespace

void TwoApproximationSolver::solve(const ScoreTile& scores, TileMask& mask, TilePrices* prices) {
    order_by_score(scores, order_);
    keep_top_of_row_and_column(scores, order_, mask);
    if (!complete_) return;
    fill_greedily(scores, order_, mask);
    if (!scores.full()) return;
    complete_by_exchange(scores, mask);
    // An exchange may give up more than it gains. The bound is provable from the row and column
    // minima nearly always; where it is not, only the optimum is sure to keep it.
    const double offsets = scores.offset() * scores.rows * (scores.pattern.m - scores.pattern.n);
    if (total_score(scores, mask, false) > 2.0 * least_pruned_score(scores, order_) + offsets)
        optimal_.solve(scores, mask, prices);
}

}  // namespace tnm
