#include "fast_path/pipelines/single_tiles.hpp"

#include <algorithm>
#include <cmath>

#include "solvers/exact/cycle_canceling.hpp"

namespace tnm {

template <class T>
SingleTiles<T>::SingleTiles(const SolveRequest& request)
    : observer_(request.observer),
      pattern_(request.pattern),
      grid_(request.grid()),
      field_(field_width(pattern_.m)),
      solver_(request.make_solver()),
      scores_(static_cast<std::size_t>(pattern_.m) * pattern_.m) {}

template <class T>
ScoreTile SingleTiles<T>::scores_of(const StripScores<T>& scores, int tile) {
    const int m = pattern_.m;
    for (int i = 0; i < m; ++i)
        for (int j = 0; j < m; ++j)
            scores_[static_cast<std::size_t>(i) * m + j] =
                static_cast<double>(scores.values[i * kStripColumns + tile * field_ + j]);
    return {scores_.data(), m, m, m, pattern_};
}

template <class T>
void SingleTiles<T>::solve(const StripScores<T>& scores, int tile, StripSolution& solution) {
    const int m = pattern_.m, first = tile * field_;
    solver_->solve(scores_of(scores, tile), mask_, &prices_);
    for (int i = 0; i < m; ++i) {
        solution.kept[i] &= ~(lowest_bits(m) << first);
        solution.kept[i] |= mask_.word(i, 0) << first;
        solution.row_prices[first + i] = std::ldexp(prices_.row[i], prices_.exponent);
        solution.column_prices[first + i] = std::ldexp(prices_.column[i], prices_.exponent);
    }
}

template <class T>
void SingleTiles<T>::solve_extreme(const StripScores<T>& scores, int tiles,
                                   StripSolution& solution) {
    for (int tile = 0; tile < tiles; ++tile)
        if (is_extreme(scores, tile, solution)) solve(scores, tile, solution);
}

template <class T>
bool SingleTiles<T>::is_extreme(const StripScores<T>& scores, int tile,
                                const StripSolution& solution) const {
    constexpr double kSumsMayOverflow = 0x1p1000;
    double largest = 0.0, kept = 0.0;
    for (int i = 0; i < pattern_.m; ++i)
        for (int j = 0; j < pattern_.m; ++j) {
            const int lane = tile * field_ + j;
            const double magnitude =
                std::fabs(static_cast<double>(scores.values[i * kStripColumns + lane]));
            largest = std::max(largest, magnitude);
            if (solution.kept[i] >> lane & 1) kept += magnitude;
        }
    return largest > kSumsMayOverflow || needs_cycle_canceling(kept, largest);
}

template <class T>
void SingleTiles<T>::observe(const StripPlace& place, const StripScores<T>& scores,
                             const StripSolution& solution) {
    const int m = pattern_.m;
    const std::int64_t first_index =
        (place.plane * grid_.tile_rows() + place.tile_row) * grid_.tile_columns() +
        place.tile_column;
    for (int tile = 0; tile < place.tiles; ++tile) {
        const int first = tile * field_;
        mask_.reset(m);
        prices_.exponent = 0;
        for (int i = 0; i < m; ++i) {
            mask_.set_word(i, 0, solution.kept[i] >> first & lowest_bits(m));
            prices_.row[i] = solution.row_prices[first + i];
            prices_.column[i] = solution.column_prices[first + i];
        }
        observer_(first_index + tile, scores_of(scores, tile), mask_, prices_);
    }
}

template class SingleTiles<float>;
template class SingleTiles<double>;

}  // namespace tnm
