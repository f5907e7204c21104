#include "tiles/blocks/batch_axes.hpp"

#include <algorithm>
#include <cstdlib>
#include <vector>

namespace tnm {
namespace {

struct BatchAxis {
    std::int64_t count, array_step, mask_step;
};

std::vector<BatchAxis> batch_axes_of(const SolveRequest& request) {
    std::vector<BatchAxis> axes;
    const Strides &array = request.array.strides, &mask = request.mask.strides;
    for (int k = 0; k < array.rank - 2; ++k)
        if (array.shape[k] != 1) axes.push_back({array.shape[k], array.bytes[k], mask.bytes[k]});
    if (!request.observer)
        std::stable_sort(axes.begin(), axes.end(), [](const BatchAxis& a, const BatchAxis& b) {
            return std::abs(a.array_step) > std::abs(b.array_step);
        });
    return axes;
}

bool lie_behind_one_another(const BatchAxis& outer, const BatchAxis& inner) {
    return outer.array_step == inner.count * inner.array_step &&
           outer.mask_step == inner.count * inner.mask_step;
}

Strides with_batch(const Strides& strides, const std::vector<BatchAxis>& axes,
                   std::int64_t BatchAxis::* step) {
    Strides joined;
    for (const BatchAxis& axis : axes) {
        joined.shape[joined.rank] = axis.count;
        joined.bytes[joined.rank++] = axis.*step;
    }
    for (int k = strides.rank - 2; k < strides.rank; ++k) {
        joined.shape[joined.rank] = strides.shape[k];
        joined.bytes[joined.rank++] = strides.bytes[k];
    }
    return joined;
}

}  // namespace

SolveRequest with_joined_batch_axes(const SolveRequest& request) {
    std::vector<BatchAxis> axes;
    for (const BatchAxis& axis : batch_axes_of(request)) {
        if (!axes.empty() && lie_behind_one_another(axes.back(), axis))
            axes.back() = {axes.back().count * axis.count, axis.array_step, axis.mask_step};
        else
            axes.push_back(axis);
    }
    SolveRequest joined = request;
    joined.array.strides = with_batch(request.array.strides, axes, &BatchAxis::array_step);
    joined.mask.strides = with_batch(request.mask.strides, axes, &BatchAxis::mask_step);
    return joined;
}

}  // namespace tnm
