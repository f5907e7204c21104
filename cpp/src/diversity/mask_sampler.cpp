#include "diversity/mask_sampler.hpp"

#include <algorithm>

namespace tnm {

MaskSampler::MaskSampler(const MarginProgram& program, int m)
    : program_(program), m_(m), height_(program.problem().height()) {
    std::copy_n(program.problem().column_sums.begin(), m, needs_.begin());
    row_.profile = profile_of(needs_.data(), m);
}

template <int kLimbs, class Coefficient>
Coefficient MaskSampler::choose_needs_of(const Binomials<Coefficient>& binomials) {
    const MarginLevel& level = program_.levels()[below_];
    const int limbs = level.limbs;
    const std::uint64_t* values = level.values_of(level.least_sum);
    const std::uint64_t* chosen = values;
    std::uint64_t* rest = rest_.data();
    auto skip = [&](Coefficient coefficient, std::uint32_t index) {
        chosen = values + static_cast<std::size_t>(index) * limbs;
        return !subtract_product<kLimbs>(rest, chosen, limbs, coefficient);
    };
    Takings<Coefficient, decltype(skip)> takings(*level.space, binomials, row_, skip);
    takings.visit_all(level.least_sum, left_);
    for (int v = 1; v <= height_; ++v) taken_[v] = takings.taken(v);
    return static_cast<Coefficient>(divide(rest, chosen, limbs));
}

template <class Coefficient>
Coefficient MaskSampler::choose_needs(const Binomials<Coefficient>& binomials) {
    switch (program_.levels()[below_].limbs) {
        case 1:
            return choose_needs_of<1>(binomials);
        case 2:
            return choose_needs_of<2>(binomials);
        case 3:
            return choose_needs_of<3>(binomials);
        case 4:
            return choose_needs_of<4>(binomials);
        default:
            return choose_needs_of<0>(binomials);
    }
}

template <class Coefficient>
void MaskSampler::fill_row(const Binomials<Coefficient>& binomials, std::uint8_t* row) {
    row_ = open_row(row_.profile, height_);
    Coefficient choice = choose_needs(binomials);
    // One digit a need: which of the columns of that need.
    std::array<Coefficient, kMaxMarginSide + 1> choices;
    for (int v = 1; v <= height_; ++v) {
        const Coefficient radix = binomials(row_.free.at_least[v], taken_[v]);
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
        const Coefficient with = binomials(others, taken_[v] - 1);
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
        if (program_.is_wide())
            fill_row(program_.wide_binomials(), mask + row * m_);
        else
            fill_row(program_.narrow_binomials(), mask + row * m_);
    }
}

}  // namespace tnm
