#include "convert.hpp"
#include "register.hpp"
#include "tnm/enumerate.hpp"

namespace py = pybind11;

namespace {

using Codes = py::array_t<std::uint64_t, py::array::c_style>;

void require(tnm::Status status) {
    if (status != tnm::Status::ok)
        throw py::value_error("arguments that do not fit together reached the compiled core");
}

std::unique_ptr<tnm::MaskEnumerator> created(int n, int m) {
    std::unique_ptr<tnm::MaskEnumerator> enumerator;
    require(tnm::MaskEnumerator::create({n, m}, enumerator));
    return enumerator;
}

std::int64_t next(tnm::MaskEnumerator& enumerator, Codes codes) {
    std::uint64_t* target = codes.mutable_data();
    const std::int64_t capacity = codes.size();
    const py::gil_scoped_release release;
    return enumerator.next(target, capacity);
}

}  // namespace

void register_enumerate(py::module_& module) {
    py::class_<tnm::MaskEnumerator>(module, "MaskEnumerator")
        .def(py::init(&created), py::arg("n"), py::arg("m"))
        .def(
            "seek",
            [](tnm::MaskEnumerator& enumerator, std::uint64_t code) {
                require(enumerator.seek(code));
            },
            py::arg("code"))
        .def("next", &next, py::arg("codes").noconvert());
}
