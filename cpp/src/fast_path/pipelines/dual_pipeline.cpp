// Optimal masks of tiles of any size.
#include "fast_path/pipelines/exact_strip.hpp"
#include "fast_path/pipelines/masker_pipeline.hpp"

namespace tnm {
namespace {

template <class T>
class DualMasker {
  public:
    explicit DualMasker(const SolveRequest& request)
        : strip_(request, request.score == Score::identity) {}

    template <class Next>
    std::uint64_t* operator()(const StripPlace& place, const StripScores<T>& scores,
                              const Next& next) {
        strip_.solve(place, scores, next());
        return strip_.finish(place, scores);
    }

  private:
    ExactStrip<T> strip_;
};

}  // namespace

std::unique_ptr<StripPipeline> make_dual_pipeline(const SolveRequest& request,
                                                  std::int64_t column_stride) {
    return make_masker_pipeline<DualMasker>(request, column_stride);
}

}  // namespace tnm
