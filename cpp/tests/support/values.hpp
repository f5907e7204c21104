// The distributions that every solver is tested on.
#pragma once

#include <initializer_list>
#include <vector>

#include "support/array.hpp"
#include "support/random.hpp"

namespace tnm::test {

enum class Distribution {
    normal,
    heavy_tails,
    small_integers,  // 0 to 7
    mostly_zero,     // 70 % zeros
    binary,
    constant,
    negative,
    denormal,  // a few million times the smallest denormal of the type
    twelve_decades,
    near_overflow,
    structured,  // (i + 1)(j + 1): far from any greedy choice
    rank_one,    // u_i + v_j: every mask is optimal
};
inline constexpr std::initializer_list<Distribution> kDistributions = {
    Distribution::normal,        Distribution::heavy_tails, Distribution::small_integers,
    Distribution::mostly_zero,   Distribution::binary,      Distribution::constant,
    Distribution::negative,      Distribution::denormal,    Distribution::twelve_decades,
    Distribution::near_overflow, Distribution::structured,  Distribution::rank_one,
};

const char* name_of(Distribution distribution);

// One value of row i and column j, before it is rounded to `dtype`. On integer types the
// distributions of tiny or fractional numbers are stretched over the type's range.
double draw(Distribution distribution, Dtype dtype, std::int64_t i, std::int64_t j, Random& random);

// Fills every matrix of the array.
void fill(Array& array, Distribution distribution, Random& random);

// Gives each m x m tile a distribution of its own, so that unlike tiles are neighbours.
void fill_tile_by_tile(Array& array, int m, Random& random);

}  // namespace tnm::test
