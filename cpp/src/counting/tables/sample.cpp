#include <algorithm>

#include "counting/tables/mask_walk.hpp"

namespace tnm {

std::uint64_t MaskWalk::choose_needs(std::uint64_t* rest, int* taken) const {
    const MarginLevel& level = program_.levels()[below_];
    const int limbs = level.limbs;
    const std::uint64_t* values = level.values_of(level.least_sum);
    const std::uint64_t* chosen = values;
    with_constant_limbs(limbs, [&]<int kLimbs>() {
        auto skip = [&](std::uint64_t coefficient, std::uint32_t index) {
            chosen = values + static_cast<std::size_t>(index) * limbs;
            return !subtract_product<kLimbs>(rest, chosen, limbs, coefficient);
        };
        Takings takings(*level.space, program_.narrow_binomials(), row_, skip);
        takings.visit_all(level.least_sum, left_);
        for (int v = 1; v <= height_; ++v) taken[v] = takings.taken(v);
    });
    return divide(rest, chosen, limbs);
}

void MaskWalk::sample_row(std::uint64_t* rest, std::uint8_t* row) {
    const Binomials<std::uint64_t>& binomials = program_.narrow_binomials();
    std::array<int, kMaxMarginSide + 1> taken;
    std::uint64_t choice = choose_needs(rest, taken.data());
    // One digit a need: which of the columns of that need.
    std::array<std::uint64_t, kMaxMarginSide + 1> choices;
    for (int v = 1; v <= height_; ++v) {
        const std::uint64_t radix = binomials(row_.free.at_least[v], taken[v]);
        choices[v] = choice % radix;
        choice /= radix;
        row_.profile.at_least[v] = static_cast<std::uint8_t>(row_.profile.at_least[v] - taken[v]);
    }
    for (int column = 0; column < m_; ++column) {
        const int v = needs_[column];
        row[column] = 0;
        if (v == 0 || taken[v] == 0) continue;
        // So many choices take this column.
        const int others = --row_.free.at_least[v];
        const std::uint64_t with = binomials(others, taken[v] - 1);
        if (choices[v] < with) {
            --taken[v];
            --needs_[column];
            row[column] = 1;
        } else {
            choices[v] -= with;
        }
    }
}

void MaskWalk::sample(const BigCount& draw, std::uint8_t* mask) {
    WideBuffer rest;
    std::fill_n(rest.begin(), program_.levels().back().limbs + kSpareLimbs, 0U);
    std::copy(draw.begin(), draw.end(), rest.begin());
    for (int row = 0; row < m_; ++row) {
        start_row(row);
        sample_row(rest.data(), mask + row * m_);
    }
}

}  // namespace tnm
