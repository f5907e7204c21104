// Looking for the first element without a finite score.
#pragma once

#include "tnm/finite.hpp"

namespace tnm {

// As find_non_finite.
Status search_non_finite(const ArrayView& array, Score score, std::optional<std::int64_t>& first,
                         const Execution& execution);

}  // namespace tnm
