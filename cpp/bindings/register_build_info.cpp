#include "register.hpp"
#include "tnm/build_info.hpp"

namespace py = pybind11;

void register_build_info(py::module_& module) {
    module.def("version", &tnm::version);
    module.def("compiler", &tnm::compiler);
}
