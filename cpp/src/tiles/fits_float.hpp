// Which scores are floats.
#pragma once

#include "tnm/dtype.hpp"
#include "tnm/pattern.hpp"

namespace tnm {

// Whether float holds every score of such elements exactly.
__attribute__((always_inline)) inline constexpr bool fits_float(Dtype dtype, Score score) {
    switch (dtype) {
        case Dtype::boolean:
        case Dtype::int8:
        case Dtype::uint8:
        case Dtype::float16:
            return true;
        case Dtype::int16:
        case Dtype::uint16:
        case Dtype::bfloat16:
        case Dtype::float32:
            return score != Score::square;
        default:
            return false;
    }
}

}  // namespace tnm
