// Looking for scores that no mask can be computed from.
#pragma once

#include <cstdint>
#include <optional>

#include "tnm/array_view.hpp"
#include "tnm/pattern.hpp"

namespace tnm {

// Flat C-order index of the first element whose score is NaN or infinite, if there is one.
// With Score::square, a finite float64 whose square overflows counts.
std::optional<std::int64_t> find_non_finite(const ArrayView& array, Score score);

}  // namespace tnm
