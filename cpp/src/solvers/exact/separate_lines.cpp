#include "solvers/exact/separate_lines.hpp"

#include <algorithm>
#include <bit>
#include <cmath>

namespace tnm {
namespace {

bool are_separate(int lines, Pattern pattern) {
    return lines <= pattern.n;
}

// A score below zero is never kept.
double relevant(double score) {
    return std::max(score, 0.0);
}

// In units in which sums do not overflow.
void scale_prices(std::array<double, kMaxM>& prices, const double* found, int count,
                  int& exponent) {
    std::frexp(*std::max_element(found, found + count), &exponent);
    for (int k = 0; k < count; ++k) prices[k] = std::ldexp(found[k], -exponent);
}

}  // namespace

bool has_separate_lines(const ScoreTile& scores) {
    return !scores.full() && scores.exact == nullptr &&
           are_separate(std::min(scores.rows, scores.columns), scores.pattern);
}

void SeparateLines::solve(const ScoreTile& scores, TileMask& mask, TilePrices* prices) {
    mask.reset(scores.rows);
    const bool by_rows = are_separate(scores.rows, scores.pattern);
    if (by_rows)
        solve_rows(scores, mask);
    else
        solve_columns(scores, mask);
    if (prices == nullptr) return;
    prices->row.fill(0.0);
    prices->column.fill(0.0);
    scale_prices(by_rows ? prices->row : prices->column, line_prices_.data(),
                 by_rows ? scores.rows : scores.columns, prices->exponent);
}

void SeparateLines::solve_rows(const ScoreTile& scores, TileMask& mask) {
    const auto keep_largest = tile_kernels().keep_largest;
    for (int i = 0; i < scores.rows; ++i) {
        std::transform(scores.row(i), scores.row(i) + scores.columns, line_, relevant);
        std::uint64_t kept[TileMask::kWords];
        line_prices_[i] = keep_largest(line_, scores.columns, scores.pattern.n, kept);
        for (int w = 0; w < TileMask::kWords; ++w) mask.set_word(i, w, kept[w]);
    }
}

void SeparateLines::solve_columns(const ScoreTile& scores, TileMask& mask) {
    const auto keep_largest = tile_kernels().keep_largest;
    for (int j = 0; j < scores.columns; ++j) {
        for (int i = 0; i < scores.rows; ++i) line_[i] = relevant(scores(i, j));
        std::uint64_t kept[TileMask::kWords];
        line_prices_[j] = keep_largest(line_, scores.rows, scores.pattern.n, kept);
        for (int w = 0; w < TileMask::kWords; ++w)
            for (; kept[w] != 0; kept[w] &= kept[w] - 1)
                mask.set(64 * w + std::countr_zero(kept[w]), j);
    }
}

}  // namespace tnm
