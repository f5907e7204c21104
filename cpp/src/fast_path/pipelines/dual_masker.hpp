// Optimal masks of tiles of any size.
#pragma once

#include "fast_path/pipelines/exact_strip.hpp"

namespace tnm {

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

}  // namespace tnm
