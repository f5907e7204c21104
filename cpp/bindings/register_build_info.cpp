#include <pybind11/stl.h>

#include "register.hpp"
#include "tnm/build_info.hpp"

namespace py = pybind11;

void register_build_info(py::module_& module) {
    module.def("version", &tnm::version);
    module.def("compiler", &tnm::compiler);
    module.def("instruction_sets_built", &tnm::instruction_sets_built);
    module.def("instruction_set", &tnm::instruction_set);
    module.def("instruction_set_error", &tnm::instruction_set_error);
}
