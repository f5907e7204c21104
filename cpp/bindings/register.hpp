// One function a topic; each adds the topic's functions to the module.
#pragma once

#include <pybind11/pybind11.h>

void register_transposable(pybind11::module_& module);
void register_rowwise(pybind11::module_& module);
void register_count(pybind11::module_& module);
void register_regular_count(pybind11::module_& module);
void register_compress(pybind11::module_& module);
void register_margins(pybind11::module_& module);
void register_mask_table(pybind11::module_& module);
void register_enumerate(pybind11::module_& module);
void register_build_info(pybind11::module_& module);
