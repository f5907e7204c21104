// How many 0/1 matrices have all row sums r and all column sums c.
//
// The count is found modulo many primes, eight at a time, as a sum over multisets of roots of
// unity. A counter says which passes that takes; the slices of each pass are added, as often as it
// takes; then the counter turns the sums into digits. The caller keeps the sums, so that a long
// count can be stopped and resumed.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <vector>

#include "tnm/execution.hpp"
#include "tnm/status.hpp"

namespace tnm {

struct RegularMargins {
    int rows = 0;
    int columns = 0;
    int row_sum = 0;
    int column_sum = 0;
};

inline constexpr int kLargestMargin = 1024;

// Primes of one pass, and sums modulo them.
inline constexpr int kGroupPrimes = 8;
using GroupSums = std::array<std::uint32_t, kGroupPrimes>;

// What a count takes. Numbers of multisets are rounded.
struct RegularCountPlan {
    std::vector<std::uint32_t> primes;  // a multiple of kGroupPrimes
    int needed_primes = 0;              // their product exceeds a proven bound of the quotient
    int classes = 0;                    // passes for each group of primes
    double evaluations = 0;             // multisets for each prime, over all classes
    double operations = 0;              // vector operations for each group, about
    double table_bytes = 0;             // of the largest pass
    double bound_bits = 0;              // log2 of the proven bound of the quotient
};

struct CountProblem;

class RegularCounter {
  public:
    // Invalid unless 0 < r < columns, 0 < c < rows, r * rows = c * columns, and both sides are at
    // most kLargestMargin. Cheap, however large the count.
    static Status create(const RegularMargins& margins, std::unique_ptr<RegularCounter>& counter);

    const RegularCountPlan& plan() const;

    // From the sums of all groups, each over all of its passes, to the quotient of the count and
    // C(columns, r) C(rows - 1, c - 1), which divides it: sum of digits[k] * primes[0] * ... *
    // primes[k - 1]. All digits from needed_primes on are zero unless something went wrong.
    Status digits(const std::vector<GroupSums>& sums, std::vector<std::uint32_t>& digits) const;

  private:
    friend class RegularPass;
    explicit RegularCounter(std::shared_ptr<const CountProblem> problem);

    std::shared_ptr<const CountProblem> problem_;
};

class RegularPass {
  public:
    // Pass `index` is of group index / classes. If `pass` is another one, that is given up first,
    // and its memory used again.
    static Status create(const RegularCounter& counter, int index,
                         std::unique_ptr<RegularPass>& pass);
    virtual ~RegularPass() = default;

    // Each takes at most about a tenth of a second.
    virtual std::int64_t slices() const = 0;
    // Share of the evaluations of this pass that the slices before this one take, 0 to 1.
    virtual double share_before(std::int64_t slice) const = 0;

    // Adds the slices begin to end - 1 to the sums of the group. Unless the status is ok, `sums` is
    // unchanged.
    virtual Status add_slices(std::int64_t begin, std::int64_t end, GroupSums& sums,
                              const Execution& execution) const = 0;
};

}  // namespace tnm
