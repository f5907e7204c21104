// Looking for scores that no mask can be computed from.
#pragma once

#include <cstdint>
#include <optional>

#include "tnm/array_view.hpp"
#include "tnm/execution.hpp"
#include "tnm/status.hpp"

namespace tnm {

// Sets `first` to the flat C-order index of the first element that is NaN or infinite, or to
// nothing if there is none; the number of threads makes no difference. `first` means nothing unless
// the status is ok.
Status find_non_finite(const ArrayView& array, std::optional<std::int64_t>& first,
                       const Execution& execution);

}  // namespace tnm
