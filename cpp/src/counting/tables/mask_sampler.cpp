#include "counting/tables/mask_sampler.hpp"

#include <algorithm>

namespace tnm {

MaskSampler::MaskSampler(const MarginProgram& program, int m)
    : program_(program), m_(m), height_(program.problem().height()) {
    std::copy_n(program.problem().column_sums.begin(), m, needs_.begin());
    row_.profile = profile_of(needs_.data(), m);
}

template <int kLimbs>
std::uint64_t MaskSampler::choose_needs_of() {
    const MarginLevel& level = program_.levels()[below_];
    const int limbs = level.limbs;
    const std::uint64_t* values = level.values_of(level.least_sum);
    const std::uint64_t* chosen = values;
    std::uint64_t* rest = rest_.data();
    auto skip = [&](std::uint64_t coefficient, std::uint32_t index) {
        chosen = values + static_cast<std::size_t>(index) * limbs;
        return !subtract_product<kLimbs>(rest, chosen, limbs, coefficient);
    };
    Takings<std::uint64_t, decltype(skip)> takings(*level.space, program_.narrow_binomials(), row_,
                                                   skip);
    takings.visit_all(level.least_sum, left_);
    for (int v = 1; v <= height_; ++v) taken_[v] = takings.taken(v);
    return divide(rest, chosen, limbs);
}

std::uint64_t MaskSampler::choose_needs() {
    switch (program_.levels()[below_].limbs) {
        case 1:
            return choose_needs_of<1>();
        case 2:
            return choose_needs_of<2>();
        case 3:
            return choose_needs_of<3>();
        case 4:
            return choose_needs_of<4>();
        default:
            return choose_needs_of<0>();
    }
}

void MaskSampler::fill_row(std::uint8_t* row) {
    const Binomials<std::uint64_t>& binomials = program_.narrow_binomials();
    row_ = open_row(row_.profile, height_);
    std::uint64_t choice = choose_needs();
    // One digit a need: which of the columns of that need.
    std::array<std::uint64_t, kMaxMarginSide + 1> choices;
    for (int v = 1; v <= height_; ++v) {
        const std::uint64_t radix = binomials(row_.free.at_least[v], taken_[v]);
        choices[v] = choice % radix;
        choice /= radix;
        row_.profile.at_least[v] = static_cast<std::uint8_t>(row_.profile.at_least[v] - taken_[v]);
    }
    for (int column = 0; column < m_; ++column) {
        const int v = needs_[column];
        row[column] = 0;
        if (v == 0 || taken_[v] == 0) continue;
        // So many choices take this column.
        const int others = --row_.free.at_least[v];
        const std::uint64_t with = binomials(others, taken_[v] - 1);
        if (choices[v] < with) {
            --taken_[v];
            --needs_[column];
            row[column] = 1;
        } else {
            choices[v] -= with;
        }
    }
}

void MaskSampler::sample(const BigCount& draw, std::uint8_t* mask) {
    std::fill_n(rest_.begin(), program_.levels().back().limbs + kSpareLimbs, 0U);
    std::copy(draw.begin(), draw.end(), rest_.begin());
    for (int row = 0; row < m_; ++row) {
        left_ = program_.problem().rows[row].most;
        below_ = m_ - 1 - row;
        fill_row(mask + row * m_);
    }
}

}  // namespace tnm
