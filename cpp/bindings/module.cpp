#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include "register.hpp"
#include "tnm/build_info.hpp"

PYBIND11_MODULE(_core, module) {
    module.doc() = "Compiled core of tnm_core. Arguments are checked by the Python API, not here.";
    register_masks(module);
    register_groups(module);
    register_counting(module);
    register_listing(module);
    register_products(module);
    module.def("version", &tnm::version);
    module.def("compiler", &tnm::compiler);
    module.def("instruction_sets_built", &tnm::instruction_sets_built);
    module.def("instruction_set", &tnm::instruction_set);
    module.def("instruction_set_error", &tnm::instruction_set_error);
}
