#include "counting/regular/quotient.hpp"

#include "counting/regular/modular.hpp"

namespace tnm {
namespace {

// From the sum over multisets, each with one over its factorials, to the mean over all points,
// and on to the quotient.
std::uint32_t scale(const CountLayout& layout, std::uint32_t prime) {
    const RegularMargins& asked = layout.asked;
    const int columns = layout.margins.columns;
    const auto roots = static_cast<std::uint32_t>(layout.roots);
    const auto rotation = static_cast<std::uint32_t>(layout.rotation);
    const std::uint32_t points =
        multiply_mod(factorial_mod(columns, prime), roots / rotation, prime);
    std::uint32_t divisor = power_mod(roots, static_cast<std::uint64_t>(columns), prime);
    divisor = multiply_mod(divisor, binomial_mod(asked.columns, asked.row_sum, prime), prime);
    divisor =
        multiply_mod(divisor, binomial_mod(asked.rows - 1, asked.column_sum - 1, prime), prime);
    return multiply_mod(points, inverse_mod(divisor, prime), prime);
}

}  // namespace

std::vector<std::uint32_t> digits_of_quotient(const CountProblem& problem,
                                              const std::vector<GroupSums>& sums) {
    const std::vector<std::uint32_t>& primes = problem.plan.primes;
    std::vector<std::uint32_t> residues;
    for (std::size_t k = 0; k < primes.size(); ++k)
        residues.push_back(multiply_mod(sums[k / kGroupPrimes][k % kGroupPrimes],
                                        scale(problem.layout, primes[k]), primes[k]));
    return mixed_radix(residues, primes);
}

}  // namespace tnm
