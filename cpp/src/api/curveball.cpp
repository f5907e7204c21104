#include "tnm/curveball.hpp"

#include "counting/sampling/curveball_chains.hpp"
#include "parallel/guarded.hpp"

namespace tnm {

Status curveball_masks(const Pattern& pattern, std::int64_t trades, const std::uint64_t* seeds,
                       std::int64_t count, std::uint8_t* masks, const Execution& execution) {
    if (!pattern.valid() || trades < 0 || count < 0) return Status::invalid_argument;
    return guarded(
        [&] { return sample_by_chains(pattern, trades, seeds, count, masks, execution); });
}

}  // namespace tnm
