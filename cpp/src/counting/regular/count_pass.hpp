// What the kernels of the regular counter work on. Plain pointers: the kernels are compiled for
// several instruction sets, and nothing of the standard library may be compiled with them.
#pragma once

#include <cstdint>

namespace tnm {

inline constexpr int kBucketVectors = 16;

// Right multisets of one size: they meet the coefficients of left polynomials from `window_begin`
// on, `window_length` of them; where their table and their buckets start, in vectors.
struct RightSize {
    int window_begin, window_length;
    std::int64_t table_begin, bucket_begin;
};

// The multisets of `columns` roots of unity whose exponents add up to `target` modulo `roots`,
// as pairs of a left multiset, of the first `left_bins` bins, and a right one. A bin is a root,
// with how often it is taken. Right multisets stand in a table, ordered by size, then by the sum of
// their exponents; of their polynomials only the window is kept that meets the left one's.
struct CountPass {
    int columns = 0;
    int row_sum = 0;
    int rows = 0;
    int roots = 0;
    int left_bins = 0;
    int target = 0;
    // Whether left multisets that mirror each other are taken once, for both.
    bool halved = false;

    const int* exponent_of_bin = nullptr;             // [roots]
    const unsigned char* mirrors_previous = nullptr;  // [roots]; false throughout unless halved

    const RightSize* of_size = nullptr;  // [columns + 1]
    // First right multiset of [size * roots + exponents], and one past the last at the end.
    const std::int64_t* first_right = nullptr;

    // Numbers modulo the eight primes of the group.
    const double* prime = nullptr;
    const double* inverse_prime = nullptr;  // as a real number
    const double* root_powers = nullptr;    // [roots][8]
    const double* inverses = nullptr;       // [columns + 1][8], of 1, 2, ...; the first is unused
};

// Of all right multisets, modulo the primes of one vector.
struct RightTable {
    double* polynomials = nullptr;
    double* weights = nullptr;
};

// The work of one thread on the primes of one vector.
struct CountScratch {
    double* bucket_polynomials = nullptr;
    double* bucket_weights = nullptr;  // [(columns + 1) * roots][kBucketVectors]
    int* bucket_sizes = nullptr;       // [(columns + 1) * roots]
    double* polynomials = nullptr;     // [roots + 1][row_sum + 1]
    double* weights = nullptr;         // [roots + 1]
    double* sum = nullptr;
};

// The left multisets that take so often the first bins.
struct CountSlice {
    const unsigned short* taken = nullptr;
    int bins = 0;
};

struct CountKernels {
    int lanes;
    // `lane` is the first prime of the vector. `cursors`: one for each element of first_right.
    void (*fill_table)(const CountPass& pass, int lane, const RightTable& table,
                       std::int64_t* cursors, const CountScratch& scratch);
    void (*add_slice)(const CountPass& pass, int lane, const RightTable& table,
                      const CountSlice& slice, const CountScratch& scratch);
    // What still waits in the buckets.
    void (*finish)(const CountPass& pass, int lane, const RightTable& table,
                   const CountScratch& scratch);
};

// Those of the instruction set in use.
const CountKernels& count_kernels();

}  // namespace tnm
