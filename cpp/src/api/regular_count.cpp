#include "tnm/regular_count.hpp"

#include <utility>

#include "counting/regular/count_plan.hpp"
#include "counting/regular/pass_sums.hpp"
#include "counting/regular/quotient.hpp"
#include "parallel/guarded.hpp"

namespace tnm {

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
    if (sums.size() * kGroupPrimes != plan().primes.size()) return Status::invalid_argument;
    return guarded([&] {
        digits = digits_of_quotient(*problem_, sums);
        return Status::ok;
    });
}

RegularPass::RegularPass(std::unique_ptr<PassSums> sums) : sums_(std::move(sums)) {}
RegularPass::~RegularPass() = default;

Status RegularPass::create(const RegularCounter& counter, int index,
                           std::unique_ptr<RegularPass>& pass) {
    const RegularCountPlan& plan = counter.plan();
    const int groups = static_cast<int>(plan.primes.size()) / kGroupPrimes;
    if (index < 0 || index >= plan.classes * groups) return Status::invalid_argument;
    return guarded([&] {
        PassMemory memory = pass != nullptr ? pass->sums_->give_memory() : PassMemory{};
        pass.reset();
        pass.reset(new RegularPass(std::make_unique<PassSums>(
            counter.problem_, index / plan.classes, index % plan.classes, std::move(memory))));
        return Status::ok;
    });
}

std::int64_t RegularPass::slices() const {
    return sums_->slices().size();
}

double RegularPass::share_before(std::int64_t slice) const {
    return sums_->slices().share_before(slice);
}

Status RegularPass::add_slices(std::int64_t begin, std::int64_t end, GroupSums& sums,
                               const Execution& execution) const {
    if (begin < 0 || end > slices() || begin > end) return Status::invalid_argument;
    return guarded([&] { return sums_->add(begin, end, sums, execution); });
}

}  // namespace tnm
