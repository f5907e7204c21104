// From sums modulo primes to the number that they are residues of.
#pragma once

#include <cstdint>
#include <vector>

#include "counting/regular/count_plan.hpp"

namespace tnm {

// What RegularCounter::digits promises, from as many sums as the plan has groups.
std::vector<std::uint32_t> digits_of_quotient(const CountProblem& problem,
                                              const std::vector<GroupSums>& sums);

}  // namespace tnm
