#include "fast_path/pipelines/dual_solver.hpp"

#include <type_traits>

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
void DualSolver<T>::operator()(const StripScores<T>& scores, int tiles, Prefetcher prefetcher,
                               SingleTiles<T>& singly, StripSolution& solution) const {
    solve_(scores, pattern_, prefetcher, solution);
    if constexpr (std::is_same_v<T, float>)
        if (solution.out_of_range != 0) solve_in_double(scores, pattern_, solution);
    if (solution.unsolved != 0)
        for (int tile = 0; tile < tiles; ++tile)
            if (solution.unsolved >> tile & 1) singly.solve(scores, tile, solution);
}

template class DualSolver<float>;
template class DualSolver<double>;

}  // namespace tnm
