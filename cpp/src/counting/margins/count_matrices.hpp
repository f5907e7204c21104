// Counting the matrices of given margins: which dynamic program, and what its last level says.
#pragma once

#include "tnm/margin_count.hpp"

namespace tnm {

// As count_margins, for consistent sums of one row and one column at least.
Status count_with_sums(const std::vector<int>& row_sums, const std::vector<int>& column_sums,
                       TableMemory& memory, BigCount& count, const Execution& execution);

// As count_at_most, for one row and one column at least.
Status count_with_bound(int rows, int columns, int n, TableMemory& memory, BigCount& count,
                        const Execution& execution);

}  // namespace tnm
