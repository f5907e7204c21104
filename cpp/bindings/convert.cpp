#include "convert.hpp"

namespace tnm::python {

Strides strides_of(const py::array& array) {
    if (array.ndim() > kMaxRank) throw py::value_error("more axes than the compiled core can hold");
    Strides strides;
    strides.rank = static_cast<int>(array.ndim());
    for (int axis = 0; axis < strides.rank; ++axis) {
        strides.shape[axis] = array.shape(axis);
        strides.bytes[axis] = array.strides(axis);
    }
    return strides;
}

ConstMaskView const_mask_view(const py::array& mask) {
    return {static_cast<const std::uint8_t*>(mask.data()), strides_of(mask)};
}

bool wants_interruption(void* last_poll) {
    constexpr std::chrono::milliseconds kInterval{50};
    auto& last = *static_cast<std::chrono::steady_clock::time_point*>(last_poll);
    const auto now = std::chrono::steady_clock::now();
    if (now - last < kInterval) return false;
    last = now;
    const py::gil_scoped_acquire acquire;
    return PyErr_CheckSignals() != 0;
}

}  // namespace tnm::python
