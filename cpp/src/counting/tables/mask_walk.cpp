#include "counting/tables/mask_walk.hpp"

#include <algorithm>

namespace tnm {

MaskWalk::MaskWalk(const MarginProgram& program, int m)
    : program_(program), m_(m), height_(program.problem().height()) {
    std::copy_n(program.problem().column_sums.begin(), m, needs_.begin());
    row_.profile = profile_of(needs_.data(), m);
}

void MaskWalk::start_row(int row) {
    left_ = program_.problem().rows[row].most;
    below_ = m_ - 1 - row;
    // What the row above has left.
    row_ = open_row(row_.profile, height_);
}

const std::uint64_t* MaskWalk::count_dropped(int column) {
    leave(column);
    std::fill_n(count_.begin(), std::max(limbs(), program_.limbs_of_sum(below_)), 0U);
    program_.add_ways(row_, left_, below_, program_.levels()[below_].least_sum, count_.data());
    return count_.data();
}

void MaskWalk::keep(int column) {
    --row_.profile.at_least[needs_[column]];
    --needs_[column];
    --left_;
}

void MaskWalk::unrank(const BigCount& index, std::uint8_t* mask) {
    WideBuffer rest;
    std::fill_n(rest.begin(), program_.levels().back().limbs + 1, 0U);
    std::copy(index.begin(), index.end(), rest.begin());
    for (int row = 0; row < m_; ++row) {
        start_row(row);
        for (int column = 0; column < m_; ++column) {
            bool kept = false;
            if (must_keep(column)) {
                leave(column);
                kept = true;
            } else if (has_choice(column)) {
                kept = subtract_product<0>(rest.data(), count_dropped(column), limbs(), 1);
            }
            if (kept) keep(column);
            *mask++ = kept;
        }
    }
}

void MaskWalk::rank(const std::uint8_t* mask, std::uint8_t one, std::uint64_t* index,
                    int index_limbs) {
    WideBuffer sum;
    std::fill_n(sum.begin(), program_.levels().back().limbs + 1, 0U);
    for (int row = 0; row < m_; ++row) {
        start_row(row);
        for (int column = 0; column < m_; ++column) {
            const bool kept = *mask++ == one;
            if (kept && !must_keep(column))
                add_product<0>(sum.data(), count_dropped(column), limbs(), std::uint64_t{1});
            else if (kept || has_choice(column))
                leave(column);
            if (kept) keep(column);
        }
    }
    std::copy_n(sum.begin(), index_limbs, index);
}

}  // namespace tnm
