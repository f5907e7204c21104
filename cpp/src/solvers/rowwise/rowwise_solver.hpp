// The row-wise N:M mask of a tile of any shape: every row keeps its n highest scores.
#pragma once

#include <algorithm>
#include <array>
#include <functional>

#include "tiles/tile.hpp"

namespace tnm {

class RowwiseSolver final : public TileSolver {
  public:
    void solve(const ScoreTile& scores, TileMask& mask, TilePrices*) override {
        mask.reset(scores.rows);
        for (int i = 0; i < scores.rows; ++i) keep_top(scores, i, mask);
    }

  private:
    static void keep_top(const ScoreTile& scores, int i, TileMask& mask) {
        const int n = scores.pattern.n, count = scores.columns;
        const bool whole_group = count == scores.pattern.m;
        std::array<double, kMaxM> row;
        for (int j = 0; j < count; ++j) row[j] = scores.order(i, j);
        const double threshold = nth_largest(row, count, n);
        int room = n;
        const auto keep_if = [&](auto&& wanted) {
            for (int j = 0; j < count && room > 0; ++j) {
                if (!wanted(row[j]) || (!whole_group && row[j] <= 0.0)) continue;
                mask.set(i, j);
                --room;
            }
        };
        keep_if([&](double score) { return score > threshold; });
        keep_if([&](double score) { return score == threshold; });
    }

    static double nth_largest(std::array<double, kMaxM> values, int count, int n) {
        if (n >= count) return *std::min_element(values.begin(), values.begin() + count);
        std::nth_element(values.begin(), values.begin() + n - 1, values.begin() + count,
                         std::greater<>());
        return values[static_cast<std::size_t>(n) - 1];
    }
};

}  // namespace tnm
