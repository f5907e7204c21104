// Masks for matrices whose columns are contiguous in memory, such as Fortran order has.
#pragma once

#include "tiles/solve_request.hpp"
#include "tnm/execution.hpp"
#include "tnm/status.hpp"

namespace tnm {

// Whether the elements of a column are neighbours in memory, and those of a row are not.
bool has_contiguous_columns(const ArrayView& array);

// As solve_strips, for such arrays.
Status solve_column_major(const SolveRequest& request, const Execution& execution);

}  // namespace tnm
