// The sum over the multisets of one class, modulo the primes of one group.
#pragma once

#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "counting/regular/count_plan.hpp"
#include "counting/regular/count_slices.hpp"
#include "counting/regular/pass_tables.hpp"
#include "tnm/counting/regular_count.hpp"

namespace tnm {

// Handed from pass to pass, because fresh memory costs more than filling it.
struct PassMemory {
    std::vector<double> polynomials, weights;
};

class PassSums final : public RegularPass {
  public:
    PassSums(std::shared_ptr<const CountProblem> problem, int group, int class_index,
             PassMemory memory);
    PassSums(const PassSums&) = delete;
    PassSums& operator=(const PassSums&) = delete;

    std::int64_t slices() const override { return slices_.size(); }
    double share_before(std::int64_t slice) const override { return slices_.share_before(slice); }
    Status add_slices(std::int64_t begin, std::int64_t end, GroupSums& sums,
                      const Execution& execution) const override;

    PassMemory give_memory() { return std::move(memory_); }

  private:
    RightTable table_of(int vector, int lanes) const;
    void fill_table();
    std::uint32_t factor_of_class(std::uint32_t prime) const;

    std::shared_ptr<const CountProblem> problem_;
    const ResidueClass& part_;
    const std::uint32_t* primes_;
    CountSlices slices_;
    PassTables tables_;
    PassMemory memory_;
    RightTable table_;  // in it
};

}  // namespace tnm
