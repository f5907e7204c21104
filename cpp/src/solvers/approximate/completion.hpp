// Bringing a mask with at most n in each row and column to exactly n.
#pragma once

#include <array>
#include <vector>

#include "tiles/tile.hpp"

namespace tnm {

// Positions i * columns + j of all entries, highest score first, equal scores by position.
void order_by_score(const ScoreTile& scores, std::vector<int>& order);

// Total score of the entries that are kept, or of those that are dropped; offsets are left out,
// here and in FirstOfLines.
double total_score(const ScoreTile& scores, const TileMask& mask, bool kept);

// What the first `count` entries of every row come to, and those of every column.
struct FirstOfLines {
    double rows = 0.0, columns = 0.0;
};
template <class Position>
FirstOfLines sum_first(const ScoreTile& scores, Position begin, Position end, int count) {
    std::array<int, kMaxM> from_row{}, from_column{};
    FirstOfLines sums;
    for (; begin != end; ++begin) {
        const int i = *begin / scores.columns, j = *begin % scores.columns;
        if (from_row[i]++ < count) sums.rows += scores(i, j);
        if (from_column[j]++ < count) sums.columns += scores(i, j);
    }
    return sums;
}

// Keeps further entries in the given order while their row and column have room. On edge tiles
// entries without positive score are passed over.
void fill_greedily(const ScoreTile& scores, const std::vector<int>& order, TileMask& mask);

// Full tiles, after fill_greedily: gives every row and column exactly n. A row i and a column j
// that still lack one have kept (i, j) already; then some kept (r, c) can make room for (i, c) and
// (r, j), and the exchange of highest gain is taken. One always exists: otherwise every row that
// could still take column j would itself be short, and the greedy fill would have used it.
void complete_by_exchange(const ScoreTile& scores, TileMask& mask);

}  // namespace tnm
