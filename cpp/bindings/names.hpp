// Names of enumerators, as the Python API spells them.
#pragma once

#include <string>

#include "convert.hpp"
#include "tnm/dtype.hpp"
#include "tnm/pattern.hpp"

namespace tnm::python {

// In the order of the enumerators.
inline constexpr const char* kDtypes[] = {"bool",     "int8",    "int16",  "int32",  "int64",
                                          "uint8",    "uint16",  "uint32", "uint64", "float16",
                                          "bfloat16", "float32", "float64"};
static_assert(std::size(kDtypes) == static_cast<std::size_t>(Dtype::float64) + 1);
inline constexpr const char* kScores[] = {"abs", "square", "identity"};

template <class Enum, std::size_t kCount>
Enum from_name(const char* const (&names)[kCount], const char* what, const std::string& name) {
    for (std::size_t k = 0; k < kCount; ++k)
        if (name == names[k]) return static_cast<Enum>(k);
    throw py::value_error(std::string("unknown ") + what + " " + name);
}

inline Dtype dtype_of(const std::string& name) {
    return from_name<Dtype>(kDtypes, "dtype", name);
}

inline Score score_of(const std::string& name) {
    return from_name<Score>(kScores, "score", name);
}

// bfloat16 comes as a uint16 view.
inline ArrayView array_view(const py::array& array, const std::string& dtype) {
    return {static_cast<const std::byte*>(array.data()), dtype_of(dtype), strides_of(array)};
}

inline std::string name_of_dtype(Dtype dtype) {
    return kDtypes[static_cast<std::size_t>(dtype)];
}

}  // namespace tnm::python
