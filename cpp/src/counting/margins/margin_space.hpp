// What the columns of a matrix still need, in any order of the columns, and its number.
//
// A profile says of each v = height, ..., 1 how many columns need at least v more ones: a sequence
// a_height <= ... <= a_1, the conjugate of the partition that the columns' needs form. Counting
// such sequences numbers them without gaps, so that a table over them stores no keys, and profiles
// that differ in a_2 and a_1 alone lie side by side.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <vector>

#include "tnm/counting/margin_count.hpp"

namespace tnm {

struct Profile {
    // [v] for v = 1 .. height; 0 above.
    std::array<std::uint8_t, kMaxMarginSide + 2> at_least{};

    bool operator==(const Profile&) const = default;
};

// Sets at_least[v] for every v in 1 .. kMaxMarginSide.
Profile profile_of(const int* needs, int columns);

// low[v] <= a_v <= high[v].
struct ProfileBounds {
    int height = 0;
    Profile low, high;

    bool operator==(const ProfileBounds&) const = default;
};

// All profiles within bounds, by their sum.
class ProfileSpace {
  public:
    static constexpr std::uint32_t kTooMany = std::numeric_limits<std::uint32_t>::max();

    ProfileSpace(const ProfileBounds& bounds, int columns, int most_sum);

    const ProfileBounds& bounds() const { return bounds_; }

    // Number of profiles of this sum.
    std::uint32_t count(int sum) const { return ways(bounds_.height, sum)[0]; }

    // [a]: number of sequences a <= a_v <= ... <= a_1 of this sum.
    const std::uint32_t* ways(int v, int sum) const {
        return &ways_[(static_cast<std::size_t>(v) * sums_ + static_cast<std::size_t>(sum)) *
                      stride_];
    }

    // The profile number `index` of this sum.
    Profile profile(int sum, std::uint32_t index) const;

    // What such a space takes.
    static std::uint64_t bytes_of(int height, int columns, int most_sum);

    // Number of profiles of these sums, rounded, in little memory.
    static double count_of(const ProfileBounds& bounds, int columns, int least_sum, int most_sum);

  private:
    ProfileBounds bounds_;
    std::size_t sums_, stride_;
    std::vector<std::uint32_t> ways_;
};

}  // namespace tnm
