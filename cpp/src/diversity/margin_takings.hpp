// How a row can take its ones from columns, and where that leads.
#pragma once

#include <algorithm>
#include <cstdint>

#include "diversity/binomials.hpp"
#include "diversity/margin_space.hpp"

namespace tnm {

// A row about to be filled, or partly filled.
struct OpenRow {
    Profile profile;  // what the columns need, less what the row has taken from them so far
    Profile free;     // [v]: columns of need v that the row has not decided on
};

// The row before any decision.
inline OpenRow open_row(const Profile& profile, int height) {
    OpenRow row;
    row.profile = profile;
    for (int v = 1; v <= height; ++v)
        row.free.at_least[v] =
            static_cast<std::uint8_t>(profile.at_least[v] - profile.at_least[v + 1]);
    return row;
}

// Calls visit(coefficient, index) for every way to take `take` more ones that leaves a profile of
// the space below: how many choices of columns do so, and which profile among those of its sum.
// The order is always the same.
template <class Coefficient, class Visit>
class Takings {
  public:
    Takings(const ProfileSpace& below, const Binomials<Coefficient>& binomials, const OpenRow& row,
            Visit& visit)
        : below_(below), binomials_(binomials), row_(row), visit_(visit) {
        for (int v = 1; v <= below.bounds().height; ++v)
            free_up_to_[v] = free_up_to_[v - 1] + row.free.at_least[v];
    }

    void visit_all(int sum_below, int take) {
        const int height = below_.bounds().height;
        if (take > free_up_to_[height]) return;
        if (height == 0)
            visit_(Coefficient{1}, 0U);
        else
            step(height, 0, sum_below, take, Coefficient{1}, 0U);
    }

  private:
    struct Range {
        int least, most;
    };

    // How many columns of need v can be taken.
    Range range(int v, int sum, int take) const {
        const ProfileBounds& bounds = below_.bounds();
        const int at_least = row_.profile.at_least[v];
        return {std::max({0, take - free_up_to_[v - 1], at_least - bounds.high.at_least[v],
                          at_least - sum}),
                std::min<int>({take, row_.free.at_least[v], at_least - bounds.low.at_least[v]})};
    }

    void step(int v, int above, int sum, int take, Coefficient coefficient, std::uint32_t index) {
        const Range taken = range(v, sum, take);
        const Coefficient* choices = binomials_.row(row_.free.at_least[v]);
        if (v == 1) {
            if (taken.least <= take && take <= taken.most)
                visit_(coefficient * choices[take], index);
            return;
        }
        const std::uint32_t* ways = below_.ways(v, sum);
        if (v == 2) return last_two(taken, take, coefficient, index + ways[above], ways);
        for (int t = taken.least; t <= taken.most; ++t) {
            const int a = row_.profile.at_least[v] - t;
            step(v - 1, a, sum - a, take - t, coefficient * choices[t],
                 index + ways[above] - ways[a]);
        }
    }

    // What is left to take comes from columns of need 1.
    void last_two(Range taken, int take, Coefficient coefficient, std::uint32_t index,
                  const std::uint32_t* ways) {
        const ProfileBounds& bounds = below_.bounds();
        const int at_least = row_.profile.at_least[1];
        taken.least = std::max(taken.least, take - (at_least - bounds.low.at_least[1]));
        taken.most = std::min(taken.most, take - (at_least - bounds.high.at_least[1]));
        const Coefficient* twos = binomials_.row(row_.free.at_least[2]);
        const Coefficient* ones = binomials_.row(row_.free.at_least[1]);
        for (int t = taken.least; t <= taken.most; ++t)
            visit_(coefficient * twos[t] * ones[take - t],
                   index - ways[row_.profile.at_least[2] - t]);
    }

    const ProfileSpace& below_;
    const Binomials<Coefficient>& binomials_;
    const OpenRow& row_;
    Visit& visit_;
    std::array<int, kMaxMarginSide + 1> free_up_to_{};
};

}  // namespace tnm
