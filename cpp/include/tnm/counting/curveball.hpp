// Random masks of any size by a Markov chain.
#pragma once

#include <cstdint>

#include "tnm/execution.hpp"
#include "tnm/pattern.hpp"
#include "tnm/status.hpp"

namespace tnm {

inline constexpr int kCurveballSeedWords = 4;

// Each mask starts as a banded mask with its rows and columns shuffled; then two rows drawn at
// random deal out afresh, `trades` times, the columns that only one of them keeps (Strona et al.,
// "A fast and unbiased procedure to randomize ecological binary matrices with fixed row and column
// totals", Nature Communications 5, 2014). The chain's stationary distribution is uniform; how
// close to it a number of trades comes is not known.
//
// `seeds` holds kCurveballSeedWords words per mask, from which alone its random numbers come;
// `masks` m x m bytes per mask, 0 or 1.
Status curveball_masks(const Pattern& pattern, std::int64_t trades, const std::uint64_t* seeds,
                       std::int64_t count, std::uint8_t* masks, const Execution& execution);

}  // namespace tnm
