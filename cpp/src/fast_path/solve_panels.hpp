// Masks for matrices whose columns are contiguous in memory, such as Fortran order has.
#pragma once

#include "fast_path/strip_pipeline.hpp"

namespace tnm {

// Whether the elements of a column are neighbours in memory, and those of a row are not.
bool has_contiguous_columns(const ArrayView& array);

// As solve_strips, for such arrays.
Status solve_panels(StripMethod method, const ArrayView& array, const MaskView& mask,
                    const Pattern& pattern, Score score, const TileObserver& observer,
                    const Execution& execution);

}  // namespace tnm
