#include "tnm/mask_table.hpp"

#include <algorithm>
#include <utility>

#include "counting/margins/margin_program.hpp"
#include "counting/tables/mask_sampler.hpp"
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
    const int limbs = static_cast<int>(total.size());
    BigCount reversed = total, one(total.size());
    one[0] = 1;
    subtract(reversed.data(), one.data(), limbs);
    subtract(reversed.data(), index, limbs);
    std::copy(reversed.begin(), reversed.end(), index);
}

}  // namespace

struct MaskTable::State {
    Pattern pattern;
    bool complemented;
    std::unique_ptr<const MarginProgram> program;
    BigCount total;
    std::uint64_t bytes;
};

MaskTable::MaskTable(std::unique_ptr<const State> state) : state_(std::move(state)) {}
MaskTable::~MaskTable() = default;

const Pattern& MaskTable::pattern() const {
    return state_->pattern;
}
std::uint64_t MaskTable::bytes() const {
    return state_->bytes;
}
const BigCount& MaskTable::total() const {
    return state_->total;
}

Status MaskTable::create(const Pattern& pattern, TableMemory& memory,
                         std::unique_ptr<MaskTable>& table, const Execution& execution) {
    if (!pattern.valid()) return Status::invalid_argument;
    return guarded([&] {
        std::unique_ptr<MarginProgram> program;
        const Status status = MarginProgram::create(
            problem_of(pattern), MarginProgram::Keep::all_levels, memory, program, execution);
        if (status != Status::ok) return status;
        BigCount total = program->levels().back().values;
        while (total.back() == 0) total.pop_back();
        table.reset(new MaskTable(std::make_unique<const State>(
            State{pattern, 2 * pattern.n > pattern.m, std::move(program), std::move(total),
                  memory.needed})));
        return Status::ok;
    });
}

// Calls make(index, mask) for each index.
template <class Make>
Status MaskTable::make_masks(const std::uint64_t* indices, std::int64_t count, std::uint8_t* masks,
                             const Execution& execution, Make&& make) const {
    const auto limbs = static_cast<std::int64_t>(state_->total.size());
    const std::int64_t entries = state_->pattern.m * state_->pattern.m;
    return guarded([&] {
        return parallel_ranges(count, kMasksAPiece, execution, [&](auto begin, auto end) {
            for (std::int64_t k = begin; k < end; ++k)
                make(BigCount(indices + k * limbs, indices + (k + 1) * limbs), masks + k * entries);
            if (state_->complemented)
                for (std::int64_t e = begin * entries; e < end * entries; ++e) masks[e] ^= 1U;
            return Status::ok;
        });
    });
}

Status MaskTable::unrank(const std::uint64_t* indices, std::int64_t count, std::uint8_t* masks,
                         const Execution& execution) const {
    return make_masks(indices, count, masks, execution, [&](BigCount index, std::uint8_t* mask) {
        if (state_->complemented) reverse(index.data(), state_->total);
        MaskWalk(*state_->program, state_->pattern.m).unrank(index, mask);
    });
}

Status MaskTable::sample(const std::uint64_t* draws, std::int64_t count, std::uint8_t* masks,
                         const Execution& execution) const {
    return make_masks(draws, count, masks, execution, [&](BigCount draw, std::uint8_t* mask) {
        MaskSampler(*state_->program, state_->pattern.m).sample(draw, mask);
    });
}

Status MaskTable::rank(const std::uint8_t* masks, std::int64_t count, std::uint64_t* indices,
                       const Execution& execution) const {
    const State& state = *state_;
    const std::int64_t limbs = static_cast<std::int64_t>(state.total.size());
    const std::int64_t entries = state.pattern.m * state.pattern.m;
    const std::uint8_t one = state.complemented ? 0 : 1;
    return guarded([&] {
        return parallel_ranges(count, kMasksAPiece, execution, [&](auto begin, auto end) {
            for (std::int64_t k = begin; k < end; ++k) {
                std::uint64_t* index = indices + k * limbs;
                MaskWalk(*state.program, state.pattern.m)
                    .rank(masks + k * entries, one, index, static_cast<int>(limbs));
                if (state.complemented) reverse(index, state.total);
            }
            return Status::ok;
        });
    });
}

}  // namespace tnm
