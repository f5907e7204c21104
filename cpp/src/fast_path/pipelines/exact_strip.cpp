#include "fast_path/pipelines/exact_strip.hpp"

#include <algorithm>
#include <bit>
#include <cmath>
#include <type_traits>

#include "solvers/exact/cycle_canceling.hpp"

namespace tnm {
namespace {

// Float scores of extreme size: the mask must be the one that the same scores have as doubles.
void solve_in_double(const StripScores<float>& scores, Pattern pattern, StripSolution& solution) {
    StripScores<double> wide;
    for (int k = 0; k < field_width(pattern.m) * kStripColumns; ++k)
        wide.values[k] = static_cast<double>(scores.values[k]);
    for (int c = 0; c < kStripColumns; ++c)
        wide.largest[c] = static_cast<double>(scores.largest[c]);
    strip_kernels().doubles.solver(pattern)(wide, pattern, {}, solution);
}

}  // namespace

template <class T>
ExactStrip<T>::ExactStrip(const SolveRequest& request, bool may_be_extreme)
    : observer_(request.observer),
      pattern_(request.pattern),
      grid_(request.grid()),
      field_(field_width(pattern_.m)),
      solve_(strip_kernels().of<T>().solver(pattern_)),
      may_be_extreme_(may_be_extreme),
      general_(request.make_solver()),
      scores_(static_cast<std::size_t>(pattern_.m) * pattern_.m) {
    solution_.wants_prices = is_observed();
}

template <class T>
void ExactStrip<T>::solve(const StripPlace& place, const StripScores<T>& scores,
                          Prefetcher prefetcher) {
    solve_(scores, pattern_, prefetcher, solution_);
    if constexpr (std::is_same_v<T, float>)
        if (solution_.out_of_range != 0) solve_in_double(scores, pattern_, solution_);
    if (solution_.unsolved == 0) return;
    for (int tile = 0; tile < place.tiles; ++tile)
        if (solution_.unsolved >> tile & 1) solve_tile(scores, tile);
}

template <class T>
std::uint64_t* ExactStrip<T>::finish(const StripPlace& place, const StripScores<T>& scores) {
    if (may_be_extreme_)
        for (int tile = 0; tile < place.tiles; ++tile)
            if (is_extreme(scores, tile)) solve_tile(scores, tile);
    if (is_observed())
        for (int tile = 0; tile < place.tiles; ++tile) observe(place, scores, tile);
    return solution_.kept;
}

template <class T>
ScoreTile ExactStrip<T>::scores_of(const StripScores<T>& scores, int tile) {
    const int m = pattern_.m;
    for (int i = 0; i < m; ++i)
        for (int j = 0; j < m; ++j)
            scores_[static_cast<std::size_t>(i) * m + j] =
                static_cast<double>(scores.values[i * kStripColumns + tile * field_ + j]);
    return {scores_.data(), m, m, m, pattern_};
}

template <class T>
void ExactStrip<T>::solve_tile(const StripScores<T>& scores, int tile) {
    const int m = pattern_.m, first = tile * field_;
    general_->solve(scores_of(scores, tile), mask_, &prices_);
    for (int i = 0; i < m; ++i) {
        solution_.kept[i] &= ~(lowest_bits(m) << first);
        solution_.kept[i] |= mask_.word(i, 0) << first;
        solution_.row_prices[first + i] = std::ldexp(prices_.row[i], prices_.exponent);
        solution_.column_prices[first + i] = std::ldexp(prices_.column[i], prices_.exponent);
    }
}

template <class T>
bool ExactStrip<T>::is_extreme(const StripScores<T>& scores, int tile) const {
    constexpr double kSumsMayOverflow = 0x1p1000;
    const int first = tile * field_;
    const T* lanes = scores.largest + first;
    const auto largest = static_cast<double>(*std::max_element(lanes, lanes + pattern_.m));
    if (largest > kSumsMayOverflow) return true;
    double kept = 0.0;
    for (int i = 0; i < pattern_.m; ++i) {
        // Hardly ever does it take more than the first.
        std::uint64_t rest = solution_.kept[i] >> first & lowest_bits(pattern_.m);
        for (; rest != 0; rest &= rest - 1) {
            const int lane = first + std::countr_zero(rest);
            kept += std::fabs(static_cast<double>(scores.values[i * kStripColumns + lane]));
            if (!needs_cycle_canceling(kept, largest)) return false;
        }
    }
    return true;
}

template <class T>
void ExactStrip<T>::observe(const StripPlace& place, const StripScores<T>& scores, int tile) {
    const int m = pattern_.m, first = tile * field_;
    mask_.reset(m);
    prices_.exponent = 0;
    for (int i = 0; i < m; ++i) {
        mask_.set_word(i, 0, solution_.kept[i] >> first & lowest_bits(m));
        prices_.row[i] = solution_.row_prices[first + i];
        prices_.column[i] = solution_.column_prices[first + i];
    }
    observer_(tile_index(grid_, place.plane, place.tile_row, place.tile_column + tile),
              scores_of(scores, tile), mask_, prices_);
}

template class ExactStrip<float>;
template class ExactStrip<double>;

}  // namespace tnm
