// The dynamic program over what columns still need, row by row from the last one.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "counting/margins/margin_space.hpp"
#include "counting/margins/margin_takings.hpp"
#include "counting/margins/wide_integer.hpp"
#include "tnm/counting/margin_count.hpp"
#include "tnm/execution.hpp"
#include "tnm/status.hpp"

namespace tnm {

struct MarginProblem {
    // A row has least to most ones.
    struct RowSum {
        int least, most;
    };
    std::vector<RowSum> rows;
    std::vector<int> column_sums;
    // Column sums are upper bounds: the profiles that are smaller count as well.
    bool at_most = false;

    int columns() const { return static_cast<int>(column_sums.size()); }
    int height() const;
};

// The numbers of ways to fill the last rows of a matrix, for all profiles that its columns may need
// by then.
struct MarginLevel {
    std::shared_ptr<const ProfileSpace> space;
    int least_sum = 0;
    std::vector<std::uint32_t> first;  // where the values of each sum start; and their end
    int limbs = 1;
    std::vector<std::uint64_t> values;

    std::uint32_t size() const { return first.back(); }
    int most_sum() const { return least_sum + static_cast<int>(first.size()) - 2; }
    const std::uint64_t* values_of(int sum) const {
        return values.data() + static_cast<std::size_t>(first[sum - least_sum]) * limbs;
    }
};

class MarginProgram {
  public:
    enum class Keep { last_level, all_levels };

    static Status create(MarginProblem problem, Keep keep, TableMemory& memory,
                         std::unique_ptr<MarginProgram>& program, const Execution& execution);

    const MarginProblem& problem() const { return problem_; }
    // [k]: about the last k rows.
    const std::vector<MarginLevel>& levels() const { return levels_; }

    // target += number of ways to fill `row` with `take` more ones and then the `below` rows under
    // it, which leave the sum `sum_below` to them. `target` needs room for limbs_of_sum(below).
    void add_ways(const OpenRow& row, int take, int below, int sum_below,
                  std::uint64_t* target) const;
    int limbs_of_sum(int below) const { return levels_[below].limbs + kSpareLimbs; }

    const Binomials<std::uint64_t>& narrow_binomials() const { return narrow_binomials_; }

  private:
    struct Plan {
        ProfileBounds bounds;
        int least_sum, most_sum, limbs;
        // The largest sum of its space, unless it is that of the level before.
        int space_sum;
    };

    explicit MarginProgram(MarginProblem problem);
    std::vector<Plan> plan() const;
    ProfileBounds bounds_of(int below) const;
    Status check_memory(const std::vector<Plan>& plans, Keep keep, TableMemory& memory,
                        const Execution& execution) const;
    Status fill(Keep keep, TableMemory& memory, const Execution& execution);
    void make_level(const Plan& plan, int below);
    void fill_profile(int below, std::uint32_t index);

    MarginProblem problem_;
    bool wide_;  // numbers of choices of columns for one row need more than 64 bits
    Binomials<std::uint64_t> narrow_binomials_;
    Binomials<Uint128> wide_binomials_;
    std::vector<MarginLevel> levels_;
};

}  // namespace tnm
