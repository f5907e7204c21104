// How a regular count is done: which way round, which roots, how the bins are split, which primes.
#pragma once

#include <vector>

#include "tnm/counting/regular_count.hpp"

namespace tnm {

// The multisets whose exponents add up to `target`, and all that contribute as much as they do.
struct ResidueClass {
    int target = 0;
    int multiplicity = 1;
    bool halved = false;
    int left_bins = 0;
    std::vector<int> exponent_of_bin;
    std::vector<unsigned char> mirrors_previous;
    double evaluations = 0;
    double operations = 0;
    double table_vectors = 0;
};

bool are_regular(const RegularMargins& margins);

// What stays the same from pass to pass.
struct CountProblem {
    explicit CountProblem(const RegularMargins& of);

    RegularMargins asked;
    RegularMargins margins;  // complemented and turned so that the count is cheapest
    int roots;
    int rotation;  // gcd of roots and columns: the number of classes that differ
    std::vector<ResidueClass> classes;
    RegularCountPlan plan;
};

// Coefficients [begin, begin + length) of the left polynomial meet a right one of this size.
struct Window {
    int begin = 0;
    int length = 0;
};
Window window_of(const RegularMargins& margins, int right_size);

// Multisets of `size` elements of `bins` kinds.
double multisets(int size, int bins);

}  // namespace tnm
