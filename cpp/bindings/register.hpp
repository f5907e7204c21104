// One function a topic; each adds the topic's functions to the module.
#pragma once

#include <pybind11/pybind11.h>

void register_masks(pybind11::module_& module);
void register_groups(pybind11::module_& module);
void register_retained(pybind11::module_& module);
void register_counting(pybind11::module_& module);
void register_listing(pybind11::module_& module);
void register_products(pybind11::module_& module);
