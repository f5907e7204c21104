#include "tnm/counting/regular_count.hpp"

#include <utility>

#include "counting/regular/count_plan.hpp"
#include "counting/regular/modular.hpp"
#include "counting/regular/pass_sums.hpp"
#include "parallel/guarded.hpp"

namespace tnm {
namespace {

// From the sum over multisets, each with one over its factorials, to the mean over all points,
// and on to the quotient.
std::uint32_t scale(const CountProblem& problem, std::uint32_t prime) {
    const RegularMargins& asked = problem.asked;
    const int columns = problem.margins.columns;
    const auto roots = static_cast<std::uint32_t>(problem.roots);
    const auto rotation = static_cast<std::uint32_t>(problem.rotation);
    const std::uint32_t points =
        multiply_mod(factorial_mod(columns, prime), roots / rotation, prime);
    std::uint32_t divisor = power_mod(roots, static_cast<std::uint64_t>(columns), prime);
    divisor = multiply_mod(divisor, binomial_mod(asked.columns, asked.row_sum, prime), prime);
    divisor =
        multiply_mod(divisor, binomial_mod(asked.rows - 1, asked.column_sum - 1, prime), prime);
    return multiply_mod(points, inverse_mod(divisor, prime), prime);
}

}  // namespace

RegularCounter::RegularCounter(std::shared_ptr<const CountProblem> problem)
    : problem_(std::move(problem)) {}

Status RegularCounter::create(const RegularMargins& margins,
                              std::unique_ptr<RegularCounter>& counter) {
    if (!are_regular(margins)) return Status::invalid_argument;
    return guarded([&] {
        counter.reset(new RegularCounter(std::make_shared<const CountProblem>(margins)));
        return Status::ok;
    });
}

const RegularCountPlan& RegularCounter::plan() const {
    return problem_->plan;
}

Status RegularCounter::digits(const std::vector<GroupSums>& sums,
                              std::vector<std::uint32_t>& digits) const {
    const std::vector<std::uint32_t>& primes = plan().primes;
    if (sums.size() * kGroupPrimes != primes.size()) return Status::invalid_argument;
    return guarded([&] {
        std::vector<std::uint32_t> residues;
        for (std::size_t k = 0; k < primes.size(); ++k)
            residues.push_back(multiply_mod(sums[k / kGroupPrimes][k % kGroupPrimes],
                                            scale(*problem_, primes[k]), primes[k]));
        digits = mixed_radix(residues, primes);
        return Status::ok;
    });
}

Status RegularPass::create(const RegularCounter& counter, int index,
                           std::unique_ptr<RegularPass>& pass) {
    const RegularCountPlan& plan = counter.plan();
    const int groups = static_cast<int>(plan.primes.size()) / kGroupPrimes;
    if (index < 0 || index >= plan.classes * groups) return Status::invalid_argument;
    return guarded([&] {
        PassMemory memory;
        if (pass != nullptr) memory = static_cast<PassSums&>(*pass).give_memory();
        pass.reset();
        pass = std::make_unique<PassSums>(counter.problem_, index / plan.classes,
                                          index % plan.classes, std::move(memory));
        return Status::ok;
    });
}

}  // namespace tnm
