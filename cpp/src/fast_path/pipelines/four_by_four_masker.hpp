// Optimal masks of 4 x 4 tiles, in closed form.
#pragma once

#include <type_traits>

#include "fast_path/pipelines/exact_strip.hpp"

namespace tnm {

template <class T>
class FourByFourMasker {
  public:
    // `exactly`: rounding has been found to matter, so do not try without double precision.
    FourByFourMasker(const SolveRequest& request, bool exactly)
        : pattern_(request.pattern),
          mask_(strip_kernels().of<T>().four_by_four(pattern_, exactly)),
          strip_(request, request.score == Score::identity || std::is_same_v<T, double>) {}

    template <class Next>
    std::uint64_t* operator()(const StripPlace& place, const StripScores<T>& scores,
                              const Next& next) {
        // Any optimal prices prove any optimal mask, so that they are needed only for a proof.
        if (strip_.is_observed()) strip_.solve(place, scores, next());
        mask_(scores.values, pattern_, strip_.kept());
        return strip_.finish(place, scores);
    }

  private:
    const Pattern pattern_;
    const MaskStrip<T> mask_;
    ExactStrip<T> strip_;
};

}  // namespace tnm
