#include "tiles/solve_request.hpp"

namespace tnm {
namespace {

bool same_shape(const Strides& a, const Strides& b) {
    if (a.rank != b.rank) return false;
    for (int axis = 0; axis < a.rank; ++axis)
        if (a.shape[axis] != b.shape[axis]) return false;
    return true;
}

}  // namespace

bool SolveRequest::consistent() const {
    return pattern.valid() && array.strides.rank >= 2 && same_shape(array.strides, mask.strides);
}

}  // namespace tnm
