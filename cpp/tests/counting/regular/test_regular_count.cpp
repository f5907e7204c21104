// Counting matrices of regular margins, against filling them row by row.
#include "tnm/counting/regular_count.hpp"

#include <algorithm>
#include <cstdint>
#include <map>
#include <memory>
#include <utility>
#include <vector>

#include "counting/regular/modular.hpp"
#include "support/check.hpp"

namespace tnm::test {
namespace {

__extension__ using Wide = unsigned __int128;

// Matrices of rows of `row_sum` ones, by what each column still needs.
std::uint64_t fill(int rows, int row_sum, const std::vector<int>& needs,
                   std::map<std::vector<int>, std::uint64_t>& known) {
    if (rows == 0) {
        for (const int need : needs)
            if (need != 0) return 0;
        return 1;
    }
    if (const auto found = known.find(needs); found != known.end()) return found->second;
    std::uint64_t count = 0;
    for (unsigned chosen = 0; chosen < 1U << needs.size(); ++chosen) {
        if (__builtin_popcount(chosen) != row_sum) continue;
        std::vector<int> left = needs;
        bool possible = true;
        for (std::size_t j = 0; j < left.size(); ++j)
            if (chosen >> j & 1) possible = possible && --left[j] >= 0;
        if (possible) count += fill(rows - 1, row_sum, left, known);
    }
    known[needs] = count;
    return count;
}

std::uint64_t counted_row_by_row(const RegularMargins& m) {
    // Needs add up to rows * row_sum, which tells the numbers of rows apart.
    std::map<std::vector<int>, std::uint64_t> known;
    const std::vector<int> needs(static_cast<std::size_t>(m.columns), m.column_sum);
    return fill(m.rows, m.row_sum, needs, known);
}

std::uint64_t binomial(int n, int k) {
    std::uint64_t value = 1;
    for (int i = 1; i <= k; ++i)
        value = value * static_cast<std::uint64_t>(n - k + i) / static_cast<std::uint64_t>(i);
    return value;
}

std::unique_ptr<RegularCounter> counter_of(const RegularMargins& margins) {
    std::unique_ptr<RegularCounter> counter;
    TNM_CHECK(RegularCounter::create(margins, counter) == Status::ok);
    return counter;
}

std::unique_ptr<RegularPass> first_pass(const RegularMargins& margins) {
    std::unique_ptr<RegularPass> pass;
    TNM_CHECK(RegularPass::create(*counter_of(margins), 0, pass) == Status::ok);
    return pass;
}

std::vector<GroupSums> sums_of(const RegularCounter& counter, int threads, std::int64_t step) {
    const RegularCountPlan& plan = counter.plan();
    std::vector<GroupSums> sums(plan.primes.size() / kGroupPrimes);
    Execution execution;
    execution.threads = threads;
    std::unique_ptr<RegularPass> pass;
    for (int index = 0; index < static_cast<int>(sums.size()) * plan.classes; ++index) {
        TNM_CHECK(RegularPass::create(counter, index, pass) == Status::ok);
        GroupSums& group = sums[static_cast<std::size_t>(index / plan.classes)];
        for (std::int64_t begin = 0; begin < pass->slices(); begin += step)
            TNM_CHECK(pass->add_slices(begin, std::min(pass->slices(), begin + step), group,
                                       execution) == Status::ok);
    }
    return sums;
}

std::vector<std::uint32_t> digits_of(const RegularCounter& counter, int threads,
                                     std::int64_t step) {
    std::vector<std::uint32_t> digits;
    TNM_CHECK(counter.digits(sums_of(counter, threads, step), digits) == Status::ok);
    return digits;
}

// The quotient, if it is below 2^128; checks that the spare primes agree.
Wide counted(const RegularMargins& margins) {
    const auto counter = counter_of(margins);
    const std::vector<std::uint32_t> digits = digits_of(*counter, 1, 1 << 20);
    const RegularCountPlan& plan = counter->plan();
    Wide quotient = 0;
    for (std::size_t k = digits.size(); k-- > 0;) {
        if (static_cast<int>(k) >= plan.needed_primes) TNM_CHECK_EQUAL(digits[k], 0U);
        quotient = quotient * plan.primes[k] + digits[k];
    }
    return quotient;
}

void test_small_margins() {
    int tested = 0;
    for (int rows = 2; rows <= 7; ++rows)
        for (int columns = 2; columns <= 7; ++columns)
            for (int r = 1; r < columns; ++r) {
                if (r * rows % columns != 0) continue;
                const RegularMargins m{rows, columns, r, r * rows / columns};
                if (m.column_sum >= rows) continue;
                const Given given([&] {
                    return join(rows, " x ", columns, ", rows ", r, ", columns ", m.column_sum);
                });
                const Wide divisor =
                    Wide{binomial(columns, r)} * binomial(rows - 1, m.column_sum - 1);
                TNM_CHECK(counted(m) * divisor == counted_row_by_row(m));
                ++tested;
            }
    TNM_CHECK(tested == 31);
}

GroupSums sums_of_pass(const RegularPass& pass, int threads, std::int64_t step) {
    Execution execution;
    execution.threads = threads;
    GroupSums sums{};
    for (std::int64_t begin = 0; begin < pass.slices(); begin += step) {
        const std::int64_t end = std::min(pass.slices(), begin + step);
        TNM_CHECK(pass.add_slices(begin, end, sums, execution) == Status::ok);
    }
    return sums;
}

void test_slices_and_threads_do_not_matter() {
    const auto pass = first_pass({35, 35, 7, 7});
    TNM_CHECK(pass->slices() > 1);
    const GroupSums expected = sums_of_pass(*pass, 1, pass->slices());
    TNM_CHECK(expected != GroupSums{});
    TNM_CHECK(sums_of_pass(*pass, 1, 1) == expected);
    TNM_CHECK(sums_of_pass(*pass, 7, 3) == expected);
    double last = 0;
    for (std::int64_t slice = 1; slice <= pass->slices(); ++slice) {
        TNM_CHECK(pass->share_before(slice) > last);
        last = pass->share_before(slice);
    }
    TNM_CHECK_EQUAL(last, 1.0);
}

void test_a_wrong_sum_shows() {
    const auto counter = counter_of({8, 8, 4, 4});
    const std::vector<GroupSums> right = sums_of(*counter, 1, 1);
    for (std::size_t lane = 0; lane < kGroupPrimes; ++lane) {
        std::vector<GroupSums> wrong = right;
        wrong[0][lane] = (wrong[0][lane] + 1) % counter->plan().primes[lane];
        std::vector<std::uint32_t> digits;
        TNM_CHECK(counter->digits(wrong, digits) == Status::ok);
        bool shows = false;
        for (std::size_t k = static_cast<std::size_t>(counter->plan().needed_primes);
             k < digits.size(); ++k)
            shows = shows || digits[k] != 0;
        TNM_CHECK(shows);
    }
}

void test_interruption() {
    const auto pass = first_pass({35, 35, 7, 7});
    for (const int threads : {1, 2}) {
        Execution execution;
        execution.threads = threads;
        int asked = 0;
        execution.context = &asked;
        execution.interrupted = [](void* context) { return ++*static_cast<int*>(context) > 1; };
        GroupSums sums{};
        TNM_CHECK(pass->add_slices(0, pass->slices(), sums, execution) == Status::interrupted);
        TNM_CHECK(sums == GroupSums{});
    }
}

void test_bad_arguments() {
    for (const RegularMargins& m :
         {RegularMargins{0, 0, 0, 0}, RegularMargins{4, 4, 0, 0}, RegularMargins{4, 4, 4, 4},
          RegularMargins{4, 4, 2, 1}, RegularMargins{4, 4, -1, -1}, RegularMargins{4, 4, 5, 5},
          RegularMargins{kLargestMargin + 1, kLargestMargin + 1, 1, 1}}) {
        std::unique_ptr<RegularCounter> counter;
        TNM_CHECK(RegularCounter::create(m, counter) == Status::invalid_argument);
        TNM_CHECK(counter == nullptr);
    }
    const auto counter = counter_of({4, 4, 2, 2});
    std::unique_ptr<RegularPass> pass;
    TNM_CHECK(RegularPass::create(*counter, -1, pass) == Status::invalid_argument);
    TNM_CHECK(RegularPass::create(*counter, 1, pass) == Status::invalid_argument);
    TNM_CHECK(pass == nullptr);
    TNM_CHECK(RegularPass::create(*counter, 0, pass) == Status::ok);
    GroupSums sums{};
    for (const auto& [begin, end] :
         {std::pair{-1, 1}, {1, 0}, {0, static_cast<int>(pass->slices()) + 1}})
        TNM_CHECK(pass->add_slices(begin, end, sums, {}) == Status::invalid_argument);
    std::vector<std::uint32_t> digits;
    TNM_CHECK(counter->digits({}, digits) == Status::invalid_argument);
}

void test_primes_and_roots() {
    for (const int order : {2, 3, 9, 17, 65}) {
        const auto primes = primes_with_roots(order, 1U << 25, 40);
        TNM_CHECK_EQUAL(primes.size(), 40U);
        for (std::size_t k = 0; k < primes.size(); ++k) {
            TNM_CHECK(primes[k] % static_cast<std::uint32_t>(order) == 1);
            if (k > 0) TNM_CHECK(primes[k] < primes[k - 1]);
            const std::uint32_t root = root_of_unity(order, primes[k]);
            std::uint32_t power = root;
            for (int e = 1; e < order; ++e, power = multiply_mod(power, root, primes[k]))
                TNM_CHECK(power != 1);
            TNM_CHECK_EQUAL(power, 1U);
        }
    }
}

}  // namespace
}  // namespace tnm::test

int main(int argc, char** argv) {
    using namespace tnm::test;
    return run_tests(
        argc, argv,
        {
            {"small_margins", test_small_margins},
            {"slices_and_threads_do_not_matter", test_slices_and_threads_do_not_matter},
            {"a_wrong_sum_shows", test_a_wrong_sum_shows},
            {"interruption", test_interruption},
            {"bad_arguments", test_bad_arguments},
            {"primes_and_roots", test_primes_and_roots},
        });
}
