#include "fast_path/pipelines/strip_pipeline.hpp"

namespace tnm {

std::unique_ptr<StripPipeline> make_strip_pipeline(const SolveRequest& request,
                                                   std::int64_t column_stride) {
    if (request.method == SolveMethod::rowwise)
        return make_rowwise_pipeline(request, column_stride);
    if (request.pattern.m != 4) return make_dual_pipeline(request, column_stride);
    if (auto shortcut = make_two_of_four_pipeline(request, column_stride)) return shortcut;
    return make_four_by_four_pipeline(request, column_stride, false);
}

}  // namespace tnm
