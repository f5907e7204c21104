// How a row can take its ones from columns, and where that leads.
#pragma once

#include <algorithm>
#include <cstdint>

#include "counting/margins/binomials.hpp"
#include "counting/margins/margin_space.hpp"

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
// Stops as soon as a visit returns true. The order is always the same.
template <class Coefficient, class Visit>
class Takings {
  public:
    Takings(const ProfileSpace& below, const Binomials<Coefficient>& binomials, const OpenRow& row,
            Visit& visit)
        : below_(below), binomials_(binomials), row_(row), visit_(visit) {
        free_up_to_[0] = 0;
        for (int v = 1; v <= below.bounds().height; ++v)
            free_up_to_[v] = free_up_to_[v - 1] + row.free.at_least[v];
    }

    // Returns whether a visit stopped it.
    bool visit_all(int sum_below, int take) {
        const int height = below_.bounds().height;
        if (take > free_up_to_[height]) return false;
        if (height == 0) return visit_(Coefficient{1}, 0U);
        return step(height, 0, sum_below, take, Coefficient{1}, 0U);
    }

    // How many columns of need v are taken, when a visit has stopped it.
    int taken(int v) const { return taken_[v]; }

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

    bool step(int v, int above, int sum, int take, Coefficient coefficient, std::uint32_t index) {
        const Range taken = range(v, sum, take);
        const Coefficient* choices = binomials_.row(row_.free.at_least[v]);
        if (v == 1) {
            taken_[1] = take;
            return taken.least <= take && take <= taken.most &&
                   visit_(coefficient * choices[take], index);
        }
        const std::uint32_t* ways = below_.ways(v, sum);
        if (v == 2) return last_two(taken, take, coefficient, index + ways[above], ways);
        for (int t = taken.least; t <= taken.most; ++t) {
            const int a = row_.profile.at_least[v] - t;
            taken_[v] = t;
            if (step(v - 1, a, sum - a, take - t, coefficient * choices[t],
                     index + ways[above] - ways[a]))
                return true;
        }
        return false;
    }

    // What is left to take comes from columns of need 1.
    bool last_two(Range taken, int take, Coefficient coefficient, std::uint32_t index,
                  const std::uint32_t* ways) {
        const ProfileBounds& bounds = below_.bounds();
        const int ones_at_least = row_.profile.at_least[1];
        const int twos_at_least = row_.profile.at_least[2];
        taken.least = std::max(taken.least, take - (ones_at_least - bounds.low.at_least[1]));
        taken.most = std::min(taken.most, take - (ones_at_least - bounds.high.at_least[1]));
        const Coefficient* twos = binomials_.row(row_.free.at_least[2]);
        const Coefficient* ones = binomials_.row(row_.free.at_least[1]);
        for (int t = taken.least; t <= taken.most; ++t)
            if (visit_(coefficient * twos[t] * ones[take - t], index - ways[twos_at_least - t])) {
                taken_[2] = t;
                taken_[1] = take - t;
                return true;
            }
        return false;
    }

    const ProfileSpace& below_;
    const Binomials<Coefficient>& binomials_;
    const OpenRow& row_;
    Visit& visit_;
    std::array<int, kMaxMarginSide + 1> free_up_to_, taken_;
};

}  // namespace tnm
