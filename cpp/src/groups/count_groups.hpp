// Counting what a mask keeps in each group of m, along rows and along columns.
#pragma once

#include "tnm/count.hpp"

namespace tnm {

// As count_kept, for arguments that go together.
Status count_groups(const ConstMaskView& mask, int m, std::uint8_t* row_counts,
                    std::uint8_t* column_counts, const Execution& execution);

}  // namespace tnm
