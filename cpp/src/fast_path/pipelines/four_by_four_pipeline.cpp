// Optimal masks of 4 x 4 tiles, in closed form.
#include <type_traits>

#include "fast_path/pipelines/dual_solver.hpp"
#include "fast_path/pipelines/masker_pipeline.hpp"

namespace tnm {
namespace {

template <class T>
class FourByFourMasker {
  public:
    FourByFourMasker(const SolveRequest& request, bool exactly)
        : pattern_(request.pattern),
          mask_(strip_kernels().of<T>().four_by_four(pattern_, exactly)),
          solve_(pattern_),
          may_be_extreme_(request.score == Score::identity || std::is_same_v<T, double>),
          singly_(request) {
        solution_.wants_prices = singly_.is_observed();
    }

    template <class Next>
    std::uint64_t* operator()(const StripPlace& place, const StripScores<T>& scores,
                              const Next& next) {
        // Any optimal prices prove any optimal mask, so that they are needed only for a proof.
        const bool observed = singly_.is_observed();
        if (observed) solve_(scores, place.tiles, next(), singly_, solution_);
        mask_(scores.values, pattern_, solution_.kept);
        if (may_be_extreme_) singly_.solve_extreme(scores, place.tiles, solution_);
        if (observed) singly_.observe(place, scores, solution_);
        return solution_.kept;
    }

  private:
    const Pattern pattern_;
    const MaskStrip<T> mask_;
    const DualSolver<T> solve_;
    const bool may_be_extreme_;
    SingleTiles<T> singly_;
    StripSolution solution_;
};

}  // namespace

std::unique_ptr<StripPipeline> make_four_by_four_pipeline(const SolveRequest& request,
                                                          std::int64_t column_stride,
                                                          bool exactly) {
    return make_masker_pipeline<FourByFourMasker>(request, column_stride, exactly);
}

}  // namespace tnm
