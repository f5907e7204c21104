#include "tnm/counting/mask_table.hpp"

#include <algorithm>
#include <utility>

#include "counting/margins/margin_program.hpp"
#include "counting/tables/mask_walk.hpp"
#include "parallel/guarded.hpp"
#include "parallel/parallel_for.hpp"

namespace tnm {
namespace {

constexpr std::int64_t kMasksAPiece = 16;

// What is kept of a mask and what it drops have the same count; fewer ones make smaller tables.
MarginProblem problem_of(const Pattern& pattern) {
    const int n = std::min(pattern.n, pattern.m - pattern.n);
    MarginProblem problem;
    problem.rows.assign(pattern.m, {n, n});
    problem.column_sums.assign(pattern.m, n);
    return problem;
}

// index = total - 1 - index: complements come in reverse order.
void reverse(std::uint64_t* index, const BigCount& total) {
    BigCount reversed = total;
    subtract(reversed.data(), index, static_cast<int>(total.size()));
    for (int i = 0; reversed[i]-- == 0;) ++i;
    std::copy(reversed.begin(), reversed.end(), index);
}

class ProgramTable final : public MaskTable {
  public:
    ProgramTable(const Pattern& pattern, std::unique_ptr<const MarginProgram> program,
                 std::uint64_t bytes)
        : pattern_(pattern),
          complemented_(2 * pattern.n > pattern.m),
          program_(std::move(program)),
          total_(trimmed(program_->levels().back().values)),
          bytes_(bytes) {}

    const Pattern& pattern() const override { return pattern_; }
    std::uint64_t bytes() const override { return bytes_; }
    const BigCount& total() const override { return total_; }

    Status unrank(const std::uint64_t* indices, std::int64_t count, std::uint8_t* masks,
                  const Execution& execution) const override {
        return make_masks(indices, count, masks, execution, [&](BigCount index, auto* mask) {
            if (complemented_) reverse(index.data(), total_);
            MaskWalk(*program_, pattern_.m).unrank(index, mask);
        });
    }

    Status sample(const std::uint64_t* draws, std::int64_t count, std::uint8_t* masks,
                  const Execution& execution) const override {
        return make_masks(draws, count, masks, execution, [&](const BigCount& draw, auto* mask) {
            MaskWalk(*program_, pattern_.m).sample(draw, mask);
        });
    }

    Status rank(const std::uint8_t* masks, std::int64_t count, std::uint64_t* indices,
                const Execution& execution) const override {
        const auto rank_mask = [&](std::int64_t k) {
            std::uint64_t* index = indices + k * limbs();
            MaskWalk(*program_, pattern_.m)
                .rank(masks + k * entries(), complemented_ ? 0 : 1, index, limbs());
            if (complemented_) reverse(index, total_);
        };
        return guarded([&] { return parallel_each(count, kMasksAPiece, execution, rank_mask); });
    }

  private:
    int limbs() const { return static_cast<int>(total_.size()); }
    int entries() const { return pattern_.m * pattern_.m; }

    // Calls make(index, mask) for each index.
    template <class Make>
    Status make_masks(const std::uint64_t* indices, std::int64_t count, std::uint8_t* masks,
                      const Execution& execution, Make&& make) const {
        const auto make_mask = [&](std::int64_t k) {
            std::uint8_t* mask = masks + k * entries();
            make(BigCount(indices + k * limbs(), indices + (k + 1) * limbs()), mask);
            if (complemented_)
                for (int e = 0; e < entries(); ++e) mask[e] ^= 1U;
        };
        return guarded([&] { return parallel_each(count, kMasksAPiece, execution, make_mask); });
    }

    const Pattern pattern_;
    const bool complemented_;
    const std::unique_ptr<const MarginProgram> program_;
    const BigCount total_;
    const std::uint64_t bytes_;
};

}  // namespace

Status MaskTable::create(const Pattern& pattern, TableMemory& memory,
                         std::unique_ptr<MaskTable>& table, const Execution& execution) {
    if (!pattern.valid()) return Status::invalid_argument;
    return guarded([&] {
        std::unique_ptr<MarginProgram> program;
        const Status status = MarginProgram::create(
            problem_of(pattern), MarginProgram::Keep::all_levels, memory, program, execution);
        if (status == Status::ok)
            table = std::make_unique<ProgramTable>(pattern, std::move(program), memory.needed);
        return status;
    });
}

}  // namespace tnm
