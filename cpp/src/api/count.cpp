#include "tnm/count.hpp"

#include "groups/count_groups.hpp"
#include "parallel/guarded.hpp"
#include "tnm/pattern.hpp"

namespace tnm {

Status count_kept(const ConstMaskView& mask, int m, std::uint8_t* row_counts,
                  std::uint8_t* column_counts, const Execution& execution) {
    if (m < 1 || m > kMaxM || mask.strides.rank < 2) return Status::invalid_argument;
    return guarded([&] { return count_groups(mask, m, row_counts, column_counts, execution); });
}

}  // namespace tnm
