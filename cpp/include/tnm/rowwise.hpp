// Row-wise N:M masks: every aligned group of m entries along the last axis keeps its n of highest
// score (ties: the lowest index). A last group of fewer than m entries keeps at most n, and only
// entries of positive score.
#pragma once

#include "tnm/array_view.hpp"
#include "tnm/execution.hpp"
#include "tnm/pattern.hpp"
#include "tnm/status.hpp"

namespace tnm {

// Writes the mask of `scores` to `mask`, which has the same shape and must not overlap it.
Status nm_mask(const ArrayView& scores, const MaskView& mask, const Pattern& pattern, Score score,
               const Execution& execution);

}  // namespace tnm
