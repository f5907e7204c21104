// What a mask retains: the sum of the scores that it keeps, beside that of all.
#pragma once

#include <cstdint>

#include "tnm/array_view.hpp"
#include "tnm/execution.hpp"
#include "tnm/pattern.hpp"
#include "tnm/status.hpp"

namespace tnm {

struct RetainedScore {
    double kept = 0.0, total = 0.0;
    double largest = 0.0;  // magnitude of an element, as a double
    std::int64_t kept_entries = 0;
};

// Adds up scores in double, an array of a mask's shape. The order of additions depends on the shape
// alone: not on strides, threads or instruction set. Sums that overflow on the way are infinite, or
// NaN where both signs do; elements that are NaN or infinite are reported by the status.
Status retained_score(const ArrayView& array, const ConstMaskView& mask, Score score,
                      RetainedScore& found, const Execution& execution);

}  // namespace tnm
