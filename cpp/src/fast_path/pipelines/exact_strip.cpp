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
    : request_(request),
      observer_(request.observer),
      pattern_(request.pattern),
      grid_(request.grid()),
      field_(field_width(pattern_.m)),
      solve_(strip_kernels().of<T>().solver(pattern_)),
      may_be_extreme_(may_be_extreme) {
    solution_.wants_prices = is_observed();
}

template <class T>
void ExactStrip<T>::solve(const StripPlace& place, const StripScores<T>& scores,
                          Prefetcher prefetcher) {
    solution_.tiles = lowest_bits(place.tiles);
    solve_(scores, pattern_, prefetcher, solution_);
    if constexpr (std::is_same_v<T, float>)
        if (solution_.out_of_range != 0) solve_in_double(scores, pattern_, solution_);
    if (solution_.unsolved == 0) return;
    for (int tile = 0; tile < place.tiles; ++tile)
        if (solution_.unsolved >> tile & 1) solve_tile(scores, tile);
}

template <class T>
std::uint64_t* ExactStrip<T>::finish(const StripPlace& place, const StripScores<T>& scores,
                                     std::uint64_t done) {
    if (may_be_extreme_)
        for (int tile = 0; tile < place.tiles; ++tile)
            if (is_extreme(scores, tile)) {
                solve_tile(scores, tile);
                done &= ~(std::uint64_t{1} << tile);
            }
    if (!is_observed()) return solution_.kept;
    if (done == 0) done = show(place, scores);
    for (int tile = 0; tile < place.tiles; ++tile)
        if (!(done >> tile & 1)) show_tile(place, scores, tile);
    return solution_.kept;
}

template <class T>
ScoreTile ExactStrip<T>::scores_of(const StripScores<T>& scores, int tile) {
    const int m = pattern_.m;
    scores_.resize(static_cast<std::size_t>(m) * static_cast<std::size_t>(m));
    for (int i = 0; i < m; ++i)
        for (int j = 0; j < m; ++j)
            scores_[static_cast<std::size_t>(i) * m + j] =
                static_cast<double>(scores.values[i * kStripColumns + tile * field_ + j]);
    return {scores_.data(), m, m, m, pattern_};
}

template <class T>
void ExactStrip<T>::solve_tile(const StripScores<T>& scores, int tile) {
    const int m = pattern_.m, first = tile * field_;
    if (general_ == nullptr) general_ = request_.make_solver();
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
std::uint64_t ExactStrip<T>::show(const StripPlace& place, const StripScores<T>& scores) {
    std::int64_t indices[kStripColumns];
    for (int tile = 0; tile < place.tiles; ++tile)
        indices[tile] = tile_index(grid_, place.plane, place.tile_row, place.tile_column + tile);
    return observer_->observe(TilesInLanes<T>{pattern_, place.tiles, field_, scores.values,
                                              solution_.kept, solution_.row_prices,
                                              solution_.column_prices, indices});
}

template <class T>
void ExactStrip<T>::show_tile(const StripPlace& place, const StripScores<T>& scores, int tile) {
    const int m = pattern_.m, first = tile * field_;
    mask_.reset(m);
    prices_.exponent = 0;
    for (int i = 0; i < m; ++i) {
        mask_.set_word(i, 0, solution_.kept[i] >> first & lowest_bits(m));
        prices_.row[i] = solution_.row_prices[first + i];
        prices_.column[i] = solution_.column_prices[first + i];
    }
    observer_->observe(tile_index(grid_, place.plane, place.tile_row, place.tile_column + tile),
                       scores_of(scores, tile), mask_, prices_);
}

template class ExactStrip<float>;
template class ExactStrip<double>;

}  // namespace tnm
