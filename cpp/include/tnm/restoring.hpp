// Masks that change only if all goes well.
#pragma once

#include <functional>

#include "tnm/array_view.hpp"
#include "tnm/execution.hpp"
#include "tnm/status.hpp"

namespace tnm {

// Calls solve(), which writes to `mask`, and returns its status. If that is not ok, `mask` holds
// again what it held before the call. Remembers a bit for every flag; eight where flags are neither
// 0 nor 1.
Status restoring(const MaskView& mask, const Execution& execution,
                 const std::function<Status()>& solve);

}  // namespace tnm
