// The element types of arrays.
#pragma once

#include <cstdint>

namespace tnm {

enum class Dtype : std::uint8_t {
    boolean,
    int8,
    int16,
    int32,
    int64,
    uint8,
    uint16,
    uint32,
    uint64,
    float16,
    bfloat16,
    float32,
    float64,
};

}  // namespace tnm
