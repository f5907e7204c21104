// Row-wise N:M.
#pragma once

#include "fast_path/pipelines/strip_place.hpp"
#include "fast_path/strip_kernels.hpp"
#include "tiles/solve_request.hpp"

namespace tnm {

template <class T>
class RowwiseMasker {
  public:
    explicit RowwiseMasker(const SolveRequest& request)
        : pattern_(request.pattern), mask_(strip_kernels().of<T>().rowwise(pattern_)) {}

    template <class Next>
    std::uint64_t* operator()(const StripPlace&, const StripScores<T>& scores, const Next&) {
        mask_(scores.values, pattern_, kept_);
        return kept_;
    }

  private:
    const Pattern pattern_;
    const MaskStrip<T> mask_;
    std::uint64_t kept_[kLargestStripM];
};

}  // namespace tnm
