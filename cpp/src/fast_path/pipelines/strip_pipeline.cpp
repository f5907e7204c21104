#include "fast_path/pipelines/strip_pipeline.hpp"

#include "fast_path/pipelines/dual_masker.hpp"
#include "fast_path/pipelines/four_by_four_masker.hpp"
#include "fast_path/pipelines/masker_pipeline.hpp"
#include "fast_path/pipelines/run_pipeline.hpp"

namespace tnm {

std::unique_ptr<StripPipeline> make_strip_pipeline(const SolveRequest& request) {
    if (request.pattern.m != 4) return make_masker_pipeline<DualMasker>(request);
    auto strips = make_masker_pipeline<FourByFourMasker>(request);
    const MaskRun kernel = run_kernel(request);
    if (kernel == nullptr) return strips;
    return std::make_unique<RunPipeline>(request, kernel, std::move(strips));
}

}  // namespace tnm
