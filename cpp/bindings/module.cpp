#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include "register.hpp"
#include "tnm/build_info.hpp"

// Without the GIL nothing changes: the core keeps no state between calls but the choice of an
// instruction set, made once, and runs without the GIL in any case; objects that change guard it.
PYBIND11_MODULE(_core, module, pybind11::mod_gil_not_used()) {
    module.doc() = "Compiled core of tnm_core. Arguments are checked by the Python API, not here.";
    register_masks(module);
    register_groups(module);
    register_retained(module);
    register_counting(module);
    register_listing(module);
    register_products(module);
    module.def("version", &tnm::version);
    module.def("compiler", &tnm::compiler);
    module.def("instruction_sets_built", &tnm::instruction_sets_built);
    module.def("instruction_set", &tnm::instruction_set);
    module.def("instruction_set_error", &tnm::instruction_set_error);
}
