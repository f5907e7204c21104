#include "reference/approximate.hpp"

#include <algorithm>
#include <numeric>

namespace tnm::test {
namespace {

std::vector<int> heaviest_first(const Tile& tile) {
    std::vector<int> order(tile.scores.size());
    std::iota(order.begin(), order.end(), 0);
    std::stable_sort(order.begin(), order.end(), [&](int a, int b) {
        return tile.scores[static_cast<std::size_t>(a)] > tile.scores[static_cast<std::size_t>(b)];
    });
    return order;
}

bool may_keep(const Tile& tile, int i, int j) {
    return tile.full() || tile(i, j) > 0.0;
}

// How many entries of the row come before (i, j): heavier, or as heavy and further left.
int rank_in_row(const Tile& tile, int i, int j) {
    int rank = 0;
    for (int c = 0; c < tile.columns; ++c)
        rank += tile(i, c) > tile(i, j) || (tile(i, c) == tile(i, j) && c < j);
    return rank;
}

int rank_in_column(const Tile& tile, int i, int j) {
    int rank = 0;
    for (int r = 0; r < tile.rows; ++r)
        rank += tile(r, j) > tile(i, j) || (tile(r, j) == tile(i, j) && r < i);
    return rank;
}

}  // namespace

Flags two_approximation_as_published(const Tile& tile) {
    std::vector<int> order = heaviest_first(tile);
    std::reverse(order.begin(), order.end());
    std::vector<int> pruned_in_row(static_cast<std::size_t>(tile.rows));
    std::vector<int> pruned_in_column(static_cast<std::size_t>(tile.columns));
    const int from_row = tile.columns - tile.pattern.n, from_column = tile.rows - tile.pattern.n;
    Flags kept(tile.scores.size(), 1);
    for (const int position : order) {
        const int i = position / tile.columns, j = position % tile.columns;
        int& in_row = pruned_in_row[static_cast<std::size_t>(i)];
        int& in_column = pruned_in_column[static_cast<std::size_t>(j)];
        if (in_row < from_row || in_column < from_column) {
            kept[static_cast<std::size_t>(position)] = 0;
            ++in_row;
            ++in_column;
        }
    }
    for (std::size_t k = 0; k < kept.size(); ++k)
        if (!tile.full() && tile.scores[k] <= 0.0) kept[k] = 0;
    return kept;
}

Flags row_top_and_column_top(const Tile& tile) {
    Flags kept;
    for (int i = 0; i < tile.rows; ++i)
        for (int j = 0; j < tile.columns; ++j)
            kept.push_back(may_keep(tile, i, j) && rank_in_row(tile, i, j) < tile.pattern.n &&
                           rank_in_column(tile, i, j) < tile.pattern.n);
    return kept;
}

Flags greedy_without_completion(const Tile& tile) {
    std::vector<int> in_row(static_cast<std::size_t>(tile.rows));
    std::vector<int> in_column(static_cast<std::size_t>(tile.columns));
    Flags kept(tile.scores.size());
    for (const int position : heaviest_first(tile)) {
        const int i = position / tile.columns, j = position % tile.columns;
        int& row = in_row[static_cast<std::size_t>(i)];
        int& column = in_column[static_cast<std::size_t>(j)];
        if (!may_keep(tile, i, j) || row == tile.pattern.n || column == tile.pattern.n) continue;
        kept[static_cast<std::size_t>(position)] = 1;
        ++row;
        ++column;
    }
    return kept;
}

Flags row_top(const Tile& tile) {
    const bool whole_groups = tile.columns == tile.pattern.m;
    Flags kept;
    for (int i = 0; i < tile.rows; ++i)
        for (int j = 0; j < tile.columns; ++j)
            kept.push_back((whole_groups || tile(i, j) > 0.0) &&
                           rank_in_row(tile, i, j) < tile.pattern.n);
    return kept;
}

}  // namespace tnm::test
