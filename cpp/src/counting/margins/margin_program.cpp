#include "counting/margins/margin_program.hpp"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <numeric>
#include <span>
#include <utility>

#include "parallel/parallel_for.hpp"

namespace tnm {
namespace {

constexpr std::int64_t kProfilesAPiece = 64;
constexpr int kShared = -1;
constexpr double kMostBytes = 9e18;

// An upper bound of log2 of the number of ways to choose the columns of a row.
double log2_choices(const MarginProblem::RowSum& row, int columns) {
    double most = 0.0;
    for (int ones = row.least; ones <= row.most; ++ones)
        most = std::max(most, log2_binomial(columns, ones));
    return most + std::log2(row.most - row.least + 1) + 1e-9;
}

template <int kLimbs, class Coefficient>
void add_ways_to(const MarginLevel& below, const OpenRow& row, int take, int sum_below,
                 const Binomials<Coefficient>& binomials, std::uint64_t* target) {
    const std::uint64_t* values = below.values_of(sum_below);
    const int limbs = below.limbs;
    auto add = [=](Coefficient coefficient, std::uint32_t index) {
        add_product<kLimbs>(target, values + static_cast<std::size_t>(index) * limbs, limbs,
                            coefficient);
        return false;
    };
    Takings(*below.space, binomials, row, add).visit_all(sum_below, take);
}

}  // namespace

int MarginProblem::height() const {
    return column_sums.empty() ? 0 : *std::max_element(column_sums.begin(), column_sums.end());
}

MarginProgram::MarginProgram(MarginProblem problem)
    : problem_(std::move(problem)),
      wide_(std::any_of(
          problem_.rows.begin(), problem_.rows.end(),
          [&](const auto& row) { return log2_choices(row, problem_.columns()) > 63.0; })),
      narrow_binomials_(problem_.columns()),
      wide_binomials_(wide_ ? problem_.columns() : 0) {}

Status MarginProgram::create(MarginProblem problem, Keep keep, TableMemory& memory,
                             std::unique_ptr<MarginProgram>& program, const Execution& execution) {
    std::unique_ptr<MarginProgram> filled(new MarginProgram(std::move(problem)));
    const Status status = filled->fill(keep, memory, execution);
    if (status == Status::ok) program = std::move(filled);
    return status;
}

ProfileBounds MarginProgram::bounds_of(int below) const {
    // A column that needs c in all needs at most `below` from the rows below, and at least c less
    // the number of rows above.
    const Profile all = profile_of(problem_.column_sums.data(), problem_.columns());
    const int above = static_cast<int>(problem_.rows.size()) - below;
    ProfileBounds bounds;
    bounds.height = problem_.height();
    for (int v = 1; v <= bounds.height; ++v) {
        if (v <= below) bounds.high.at_least[v] = all.at_least[v];
        if (!problem_.at_most && v + above <= bounds.height)
            bounds.low.at_least[v] = all.at_least[v + above];
    }
    return bounds;
}

std::vector<MarginProgram::Plan> MarginProgram::plan() const {
    const int rows = static_cast<int>(problem_.rows.size());
    const int most_sum =
        std::accumulate(problem_.column_sums.begin(), problem_.column_sums.end(), 0);
    std::vector<Plan> plans;
    int least = 0, most = 0;
    double bits = 1.0;
    for (int below = 0; below <= rows; ++below) {
        if (below > 0) {
            const MarginProblem::RowSum& row = problem_.rows[rows - below];
            least += row.least;
            most = std::min(most + row.most, most_sum);
            bits += log2_choices(row, problem_.columns());
        }
        plans.push_back({bounds_of(below), least, most, static_cast<int>(bits / 64.0) + 1, 0});
    }
    // Levels with the same bounds share a space, which the last of them needs largest.
    for (std::size_t k = 0, end = 0; k < plans.size(); k = end) {
        while (end < plans.size() && plans[end].bounds == plans[k].bounds) ++end;
        plans[k].space_sum = plans[end - 1].most_sum;
        for (Plan& other : std::span(plans).subspan(k + 1, end - k - 1)) other.space_sum = kShared;
    }
    return plans;
}

Status MarginProgram::check_memory(const std::vector<Plan>& plans, Keep keep, TableMemory& memory,
                                   const Execution& execution) const {
    double spaces = 0.0;
    for (const Plan& plan : plans)
        if (plan.space_sum != kShared)
            spaces += static_cast<double>(
                ProfileSpace::bytes_of(plan.bounds.height, problem_.columns(), plan.space_sum));
    // The levels in the middle are the largest: ask about them first.
    const int rows = static_cast<int>(problem_.rows.size());
    std::vector<int> order(plans.size());
    std::iota(order.begin(), order.end(), 0);
    std::sort(order.begin(), order.end(), [&](int a, int b) {
        return std::pair(std::abs(2 * a - rows), a) < std::pair(std::abs(2 * b - rows), b);
    });
    std::vector<double> bytes(plans.size(), 0.0);
    double values = 0.0;
    for (const int below : order) {
        const Plan& plan = plans[below];
        const double profiles =
            ProfileSpace::count_of(plan.bounds, problem_.columns(), plan.least_sum, plan.most_sum);
        bytes[below] = profiles * 8.0 * plan.limbs;
        const double before = below > 0 ? bytes[below - 1] : 0.0;
        const double after = below < rows ? bytes[below + 1] : 0.0;
        values = keep == Keep::all_levels
                     ? values + bytes[below]
                     : std::max(values, bytes[below] + std::max(before, after));
        memory.needed = static_cast<std::uint64_t>(std::min(spaces + values, kMostBytes));
        // Profiles of a level are numbered in 32 bits.
        if (profiles >= ProfileSpace::kTooMany)
            memory.needed = std::max(memory.needed, memory.allowed + 1);
        if (memory.needed > memory.allowed) return Status::table_too_large;
        if (execution.interrupted != nullptr && execution.interrupted(execution.context))
            return Status::interrupted;
    }
    return Status::ok;
}

void MarginProgram::make_level(const Plan& plan, int below) {
    MarginLevel& level = levels_[below];
    level.space = plan.space_sum == kShared ? levels_[below - 1].space
                                            : std::make_shared<const ProfileSpace>(
                                                  plan.bounds, problem_.columns(), plan.space_sum);
    level.least_sum = plan.least_sum;
    level.limbs = plan.limbs;
    level.first.assign(1, 0U);
    for (int sum = plan.least_sum; sum <= plan.most_sum; ++sum)
        level.first.push_back(level.first.back() + level.space->count(sum));
    level.values.assign(static_cast<std::size_t>(level.size()) * level.limbs, 0);
}

Status MarginProgram::fill(Keep keep, TableMemory& memory, const Execution& execution) {
    const std::vector<Plan> plans = plan();
    if (const Status status = check_memory(plans, keep, memory, execution); status != Status::ok)
        return status;
    levels_.assign(plans.size(), {});
    for (int below = 0; below < static_cast<int>(plans.size()); ++below) {
        make_level(plans[below], below);
        if (below == 0) {
            levels_[0].values.at(0) = 1;
            continue;
        }
        const auto fill = [&](auto index) {
            fill_profile(below, static_cast<std::uint32_t>(index));
        };
        const Status status =
            parallel_each(levels_[below].size(), kProfilesAPiece, execution, fill);
        if (status != Status::ok) return status;
        if (keep == Keep::last_level) levels_[below - 1] = {};
    }
    return Status::ok;
}

void MarginProgram::fill_profile(int below, std::uint32_t index) {
    MarginLevel& level = levels_[below];
    const MarginLevel& under = levels_[below - 1];
    const auto next = std::upper_bound(level.first.begin(), level.first.end(), index) - 1;
    const int sum = level.least_sum + static_cast<int>(next - level.first.begin());
    const OpenRow row =
        open_row(level.space->profile(sum, index - *next), level.space->bounds().height);
    const MarginProblem::RowSum& ones = problem_.rows[problem_.rows.size() - below];
    WideBuffer total;
    std::fill_n(total.begin(), std::max(level.limbs, limbs_of_sum(below - 1)), 0U);
    const int least = std::max(ones.least, sum - under.most_sum());
    const int most = std::min(ones.most, sum - under.least_sum);
    for (int take = least; take <= most; ++take)
        add_ways(row, take, below - 1, sum - take, total.data());
    std::copy_n(total.begin(), level.limbs,
                level.values.begin() +
                    static_cast<std::ptrdiff_t>(index) * static_cast<std::ptrdiff_t>(level.limbs));
}

void MarginProgram::add_ways(const OpenRow& row, int take, int below, int sum_below,
                             std::uint64_t* target) const {
    const MarginLevel& level = levels_[below];
    const auto with = [&](const auto& binomials) {
        with_constant_limbs(level.limbs, [&]<int kLimbs>() {
            add_ways_to<kLimbs>(level, row, take, sum_below, binomials, target);
        });
    };
    if (wide_)
        with(wide_binomials_);
    else
        with(narrow_binomials_);
}

}  // namespace tnm
