#include <pybind11/stl.h>

#include "convert.hpp"
#include "register.hpp"
#include "tnm/compress.hpp"

namespace py = pybind11;
using namespace tnm::python;

namespace {

using Indices = py::array_t<std::uint8_t, py::array::c_style>;

std::optional<std::int64_t> compress(const py::array& array, const py::array& mask, int n, int m,
                                     py::array values, Indices indices, int threads) {
    const tnm::ElementsView elements{static_cast<const std::byte*>(array.data()),
                                     static_cast<std::size_t>(array.itemsize()), strides_of(array)};
    const tnm::ConstMaskView flags = const_mask_view(mask);
    auto* value_bytes = static_cast<std::byte*>(values.mutable_data());
    std::uint8_t* positions = indices.mutable_data();
    std::optional<std::int64_t> overfull;
    run(threads, [&](const tnm::Execution& execution) {
        return tnm::compress(elements, flags, {n, m}, value_bytes, positions, overfull, execution);
    });
    return overfull;
}

bool decompress(const py::array& values, const Indices& indices, int n, int m, py::array array,
                int threads) {
    const tnm::MutableElementsView elements{static_cast<std::byte*>(array.mutable_data()),
                                            static_cast<std::size_t>(array.itemsize()),
                                            strides_of(array)};
    const auto* value_bytes = static_cast<const std::byte*>(values.data());
    const std::uint8_t* positions = indices.data();
    bool valid_indices = false;
    run(threads, [&](const tnm::Execution& execution) {
        return tnm::decompress(value_bytes, positions, {n, m}, elements, valid_indices, execution);
    });
    return valid_indices;
}

}  // namespace

void register_compress(py::module_& module) {
    module.def("compress", &compress, py::arg("array"), py::arg("mask"), py::arg("n"), py::arg("m"),
               py::arg("values"), py::arg("indices").noconvert(), py::arg("threads"));
    module.def("decompress", &decompress, py::arg("values"), py::arg("indices").noconvert(),
               py::arg("n"), py::arg("m"), py::arg("array"), py::arg("threads"));
}
