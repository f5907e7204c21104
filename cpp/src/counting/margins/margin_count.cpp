#include "tnm/counting/margin_count.hpp"

#include <algorithm>
#include <functional>
#include <numeric>

#include "counting/margins/margin_program.hpp"
#include "parallel/guarded.hpp"

namespace tnm {
namespace {

bool are_sums(const std::vector<int>& sums, std::size_t most) {
    return std::all_of(sums.begin(), sums.end(),
                       [&](int sum) { return 0 <= sum && sum <= static_cast<int>(most); });
}

int total(const std::vector<int>& sums) {
    return std::accumulate(sums.begin(), sums.end(), 0);
}

void complement(std::vector<int>& sums, std::size_t length) {
    for (int& sum : sums) sum = static_cast<int>(length) - sum;
}

// How many profiles there are, by and large.
double log2_profiles(const std::vector<int>& column_sums) {
    int height = 0;
    for (const int sum : column_sums) height = std::max(height, sum);
    return log2_binomial(static_cast<int>(column_sums.size()) + height, height);
}

MarginProblem cheapest_problem(std::vector<int> rows, std::vector<int> columns) {
    // Zeros instead of ones, and the transposed matrix, are just as many.
    if (2 * total(rows) > static_cast<int>(rows.size() * columns.size())) {
        complement(rows, columns.size());
        complement(columns, rows.size());
    }
    if (log2_profiles(rows) < log2_profiles(columns)) rows.swap(columns);
    std::sort(rows.begin(), rows.end(), std::greater<>());
    MarginProblem problem;
    for (const int sum : rows) problem.rows.push_back({sum, sum});
    problem.column_sums = std::move(columns);
    return problem;
}

// number *= factor.
void multiply(BigCount& number, Uint128 factor) {
    BigCount product(number.size() + kSpareLimbs);
    add_product<0>(product.data(), number.data(), static_cast<int>(number.size()), factor);
    number = trimmed(std::move(product));
}

void add(BigCount& sum, BigCount number) {
    if (number.size() > sum.size()) number.swap(sum);
    sum.resize(sum.size() + kSpareLimbs);
    add_product<0>(sum.data(), number.data(), static_cast<int>(number.size()), std::uint64_t{1});
    sum = trimmed(std::move(sum));
}

// The number of matrices whose column sums are those of a profile in any order.
BigCount times_arrangements(const std::uint64_t* value, int limbs, const Profile& profile,
                            int height, const Binomials<Uint128>& binomials) {
    BigCount number = trimmed({value, value + limbs});
    for (int v = 1; v <= height; ++v) {
        const int at_least = profile.at_least[v - 1], more = profile.at_least[v];
        multiply(number, binomials(at_least, more));
    }
    return number;
}

BigCount sum_of_level(const MarginLevel& level, int columns) {
    const Binomials<Uint128> binomials(columns);
    BigCount sum;
    for (int ones = level.least_sum; ones <= level.most_sum(); ++ones)
        for (std::uint32_t k = 0; k < level.space->count(ones); ++k) {
            Profile profile = level.space->profile(ones, k);
            profile.at_least[0] = static_cast<std::uint8_t>(columns);
            const std::uint64_t* value =
                level.values_of(ones) + static_cast<std::size_t>(k) * level.limbs;
            add(sum, times_arrangements(value, level.limbs, profile, level.space->bounds().height,
                                        binomials));
        }
    return sum;
}

// Sets `count` to what `read` makes of the last level. There is one matrix without entries.
template <class Read>
Status solve(MarginProblem problem, TableMemory& memory, BigCount& count,
             const Execution& execution, Read&& read) {
    if (problem.rows.empty() || problem.column_sums.empty()) {
        count = {1};
        return Status::ok;
    }
    std::unique_ptr<MarginProgram> program;
    const Status status = MarginProgram::create(std::move(problem), MarginProgram::Keep::last_level,
                                                memory, program, execution);
    if (status == Status::ok) count = read(program->levels().back());
    return status;
}

}  // namespace

Status count_margins(const std::vector<int>& row_sums, const std::vector<int>& column_sums,
                     TableMemory& memory, BigCount& count, const Execution& execution) {
    if (row_sums.size() > kMaxMarginSide || column_sums.size() > kMaxMarginSide ||
        !are_sums(row_sums, column_sums.size()) || !are_sums(column_sums, row_sums.size()) ||
        total(row_sums) != total(column_sums))
        return Status::invalid_argument;
    return guarded([&] {
        // All bounds have met: there is one profile, or none.
        return solve(cheapest_problem(row_sums, column_sums), memory, count, execution,
                     [](const MarginLevel& level) { return trimmed(level.values); });
    });
}

Status count_at_most(int rows, int columns, int n, TableMemory& memory, BigCount& count,
                     const Execution& execution) {
    if (rows < 0 || rows > kMaxMarginSide || columns < 0 || columns > kMaxMarginSide || n < 0)
        return Status::invalid_argument;
    return guarded([&] {
        MarginProblem problem;
        problem.at_most = true;
        problem.rows.assign(rows, {0, std::min(n, columns)});
        problem.column_sums.assign(columns, std::min(n, rows));
        return solve(std::move(problem), memory, count, execution,
                     [&](const MarginLevel& level) { return sum_of_level(level, columns); });
    });
}

}  // namespace tnm
