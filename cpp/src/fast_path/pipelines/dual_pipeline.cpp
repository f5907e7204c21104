// Optimal masks of tiles of any size.
#include "fast_path/pipelines/dual_solver.hpp"
#include "fast_path/pipelines/masker_pipeline.hpp"

namespace tnm {
namespace {

template <class T>
class DualMasker {
  public:
    explicit DualMasker(const SolveRequest& request)
        : solve_(request.pattern),
          may_be_extreme_(request.score == Score::identity),
          singly_(request) {
        solution_.wants_prices = singly_.is_observed();
    }

    template <class Next>
    std::uint64_t* operator()(const StripPlace& place, const StripScores<T>& scores,
                              const Next& next) {
        solve_(scores, place.tiles, next(), singly_, solution_);
        if (may_be_extreme_) singly_.solve_extreme(scores, place.tiles, solution_);
        if (singly_.is_observed()) singly_.observe(place, scores, solution_);
        return solution_.kept;
    }

  private:
    const DualSolver<T> solve_;
    const bool may_be_extreme_;
    SingleTiles<T> singly_;
    StripSolution solution_;
};

}  // namespace

std::unique_ptr<StripPipeline> make_dual_pipeline(const SolveRequest& request,
                                                  std::int64_t column_stride) {
    return make_masker_pipeline<DualMasker>(request, column_stride);
}

}  // namespace tnm
