// Row-wise N:M.
#include "fast_path/pipelines/masker_pipeline.hpp"

namespace tnm {
namespace {

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

}  // namespace

std::unique_ptr<StripPipeline> make_rowwise_pipeline(const SolveRequest& request,
                                                     std::int64_t column_stride) {
    return make_masker_pipeline<RowwiseMasker>(request, column_stride);
}

}  // namespace tnm
