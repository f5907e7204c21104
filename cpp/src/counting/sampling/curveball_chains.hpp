// Markov chains whose states are masks, one chain a mask.
#pragma once

#include "tnm/curveball.hpp"

namespace tnm {

// As curveball_masks, for arguments that are valid.
Status sample_by_chains(const Pattern& pattern, std::int64_t trades, const std::uint64_t* seeds,
                        std::int64_t count, std::uint8_t* masks, const Execution& execution);

}  // namespace tnm
