#include "convert.hpp"

#include <array>
#include <utility>

namespace py = pybind11;

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

ArrayView array_view(const py::array& array, const std::string& dtype) {
    static constexpr std::array<std::pair<const char*, Dtype>, 13> kDtypes{{
        {"bool", Dtype::boolean},
        {"int8", Dtype::int8},
        {"int16", Dtype::int16},
        {"int32", Dtype::int32},
        {"int64", Dtype::int64},
        {"uint8", Dtype::uint8},
        {"uint16", Dtype::uint16},
        {"uint32", Dtype::uint32},
        {"uint64", Dtype::uint64},
        {"float16", Dtype::float16},
        {"bfloat16", Dtype::bfloat16},
        {"float32", Dtype::float32},
        {"float64", Dtype::float64},
    }};
    for (const auto& [name, value] : kDtypes)
        if (dtype == name)
            return {static_cast<const std::byte*>(array.data()), value, strides_of(array)};
    throw py::value_error("unknown dtype " + dtype);
}

MaskView mask_view(py::array& mask) {
    return {static_cast<std::uint8_t*>(mask.mutable_data()), strides_of(mask)};
}

ConstMaskView const_mask_view(const py::array& mask) {
    return {static_cast<const std::uint8_t*>(mask.data()), strides_of(mask)};
}

Score score_from_name(const std::string& name) {
    if (name == "abs") return Score::abs;
    if (name == "square") return Score::square;
    if (name == "identity") return Score::identity;
    throw py::value_error("unknown score " + name);
}

bool InterruptibleExecution::poll(void* self) {
    constexpr std::chrono::milliseconds kInterval{50};
    auto& last_poll = static_cast<InterruptibleExecution*>(self)->last_poll_;
    const auto now = std::chrono::steady_clock::now();
    if (now - last_poll < kInterval) return false;
    last_poll = now;
    const py::gil_scoped_acquire acquire;
    return PyErr_CheckSignals() != 0;
}

}  // namespace tnm::python
