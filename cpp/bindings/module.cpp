#include <pybind11/pybind11.h>

#include "register.hpp"

PYBIND11_MODULE(_core, module) {
    module.doc() = "Compiled core of tnm_core. Arguments are checked by the Python API, not here.";
    register_transposable(module);
    register_rowwise(module);
    register_count(module);
    register_regular_count(module);
    register_compress(module);
    register_margins(module);
    register_mask_table(module);
    register_enumerate(module);
    register_build_info(module);
}
