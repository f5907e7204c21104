#include "solvers/approximate/completion.hpp"

#include <algorithm>
#include <array>
#include <limits>
#include <numeric>

namespace tnm {
namespace {

struct Counts {
    std::array<int, kMaxM> row{}, column{};
};

Counts count_kept(const ScoreTile& scores, const TileMask& mask) {
    Counts counts;
    for (int i = 0; i < scores.rows; ++i) {
        for (int j = 0; j < scores.columns; ++j) {
            counts.row[i] += mask.test(i, j);
            counts.column[j] += mask.test(i, j);
        }
    }
    return counts;
}

void exchange_at(const ScoreTile& scores, int i, int j, TileMask& mask) {
    double best = -std::numeric_limits<double>::infinity();
    int best_row = -1, best_column = -1;
    for (int r = 0; r < scores.rows; ++r) {
        if (mask.test(r, j)) continue;
        for (int c = 0; c < scores.columns; ++c) {
            if (mask.test(i, c) || !mask.test(r, c)) continue;
            const double gain = scores(i, c) + scores(r, j) - scores(r, c);
            if (best_row < 0 || gain > best) {
                best = gain;
                best_row = r;
                best_column = c;
            }
        }
    }
    mask.clear(best_row, best_column);
    mask.set(i, best_column);
    mask.set(best_row, j);
}

}  // namespace

void order_by_score(const ScoreTile& scores, std::vector<int>& order) {
    const int columns = scores.columns;
    order.resize(static_cast<std::size_t>(scores.rows) * columns);
    std::iota(order.begin(), order.end(), 0);
    std::sort(order.begin(), order.end(), [&](int a, int b) {
        const double score_a = scores.order(a / columns, a % columns);
        const double score_b = scores.order(b / columns, b % columns);
        return score_a != score_b ? score_a > score_b : a < b;
    });
}

double total_score(const ScoreTile& scores, const TileMask& mask, bool kept) {
    double sum = 0.0;
    for (int i = 0; i < scores.rows; ++i)
        for (int j = 0; j < scores.columns; ++j)
            if (mask.test(i, j) == kept) sum += scores(i, j);
    return sum;
}

void fill_greedily(const ScoreTile& scores, const std::vector<int>& order, TileMask& mask) {
    const int n = scores.pattern.n;
    Counts counts = count_kept(scores, mask);
    for (const int position : order) {
        const int i = position / scores.columns, j = position % scores.columns;
        if (!scores.full() && scores.order(i, j) <= 0.0) break;
        if (counts.row[i] == n || counts.column[j] == n || mask.test(i, j)) continue;
        mask.set(i, j);
        ++counts.row[i];
        ++counts.column[j];
    }
}

void complete_by_exchange(const ScoreTile& scores, TileMask& mask) {
    const int n = scores.pattern.n;
    Counts counts = count_kept(scores, mask);
    int j = 0;
    for (int i = 0; i < scores.rows; ++i) {
        for (; counts.row[i] < n; ++counts.row[i]) {
            while (counts.column[j] == n) ++j;
            if (mask.test(i, j))
                exchange_at(scores, i, j, mask);
            else
                mask.set(i, j);
            ++counts.column[j];
        }
    }
}

}  // namespace tnm
