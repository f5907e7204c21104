// From the core's big numbers to Python's ints.
#pragma once

#include <pybind11/pybind11.h>

#include "tnm/margin_count.hpp"

namespace tnm::python {

inline pybind11::int_ python_int(const BigCount& count) {
    std::string bytes;
    for (const std::uint64_t limb : count)
        for (int shift = 0; shift < 64; shift += 8)
            bytes.push_back(static_cast<char>((limb >> shift) & 0xff));
    const pybind11::object type = pybind11::module_::import("builtins").attr("int");
    return type.attr("from_bytes")(pybind11::bytes(bytes), "little");
}

}  // namespace tnm::python
