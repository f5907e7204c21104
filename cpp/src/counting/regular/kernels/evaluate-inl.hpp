// Powers of inner products of left and right polynomials, added up with their weights.
#pragma once

#include "counting/regular/count_pass.hpp"
#include "counting/regular/kernels/residues-inl.hpp"

namespace tnm::TNM_ISA {

// As many inner products at once as the registers hold.
inline constexpr int kTileLefts = 4;
inline constexpr int kTileRights = kVectorBytes == 64 ? 4 : 2;
static_assert(kBucketVectors % kTileLefts == 0);

// value[i] ^ exponent, exponent >= 1.
template <int kCount>
inline void raise(Doubles (&value)[kCount], int exponent, const Modulus& modulus) {
    int top = 31 - __builtin_clz(static_cast<unsigned>(exponent));
    if ((exponent & (exponent - 1)) == 0) {
        for (; top > 0; --top)
#pragma GCC unroll 16
            for (int i = 0; i < kCount; ++i) value[i] = modulus.multiply(value[i], value[i]);
        return;
    }
    Doubles base[kCount];
#pragma GCC unroll 16
    for (int i = 0; i < kCount; ++i) base[i] = value[i];
    for (int bit = top - 1; bit >= 0; --bit) {
#pragma GCC unroll 16
        for (int i = 0; i < kCount; ++i) value[i] = modulus.multiply(value[i], value[i]);
        if ((exponent >> bit & 1) == 0) continue;
#pragma GCC unroll 16
        for (int i = 0; i < kCount; ++i) value[i] = modulus.multiply(value[i], base[i]);
    }
}

// Adds to sums[l] what kRights right multisets give with kTileLefts left ones.
template <int kRights>
inline void add_tile(const double* lefts, const double* rights, const double* right_weights,
                     int length, int exponent, const Modulus& modulus,
                     Doubles (&sums)[kTileLefts]) {
    Doubles value[kTileLefts * kRights] = {};
    for (int u = 0; u < length; ++u) {
        Doubles right[kRights];
#pragma GCC unroll 16
        for (int k = 0; k < kRights; ++k)
            right[k] = load_doubles(rights + (k * length + u) * kWidth);
#pragma GCC unroll 16
        for (int l = 0; l < kTileLefts; ++l) {
            const Doubles left = load_doubles(lefts + (l * length + u) * kWidth);
#pragma GCC unroll 16
            for (int k = 0; k < kRights; ++k) value[l * kRights + k] += left * right[k];
        }
    }
#pragma GCC unroll 16
    for (int i = 0; i < kTileLefts * kRights; ++i) value[i] = modulus.reduce(value[i]);
    raise(value, exponent, modulus);
#pragma GCC unroll 16
    for (int k = 0; k < kRights; ++k) {
        const Doubles weight = load_doubles(right_weights + k * kWidth);
#pragma GCC unroll 16
        for (int l = 0; l < kTileLefts; ++l) sums[l] += value[l * kRights + k] * weight;
    }
#pragma GCC unroll 16
    for (int l = 0; l < kTileLefts; ++l) sums[l] = modulus.reduce(sums[l]);
}

// kRights right multisets with `left_count` left ones, a multiple of kTileLefts.
template <int kRights>
inline void add_column(const double* lefts, int left_count, const double* rights,
                       const double* right_weights, int length, int exponent,
                       const Modulus& modulus, double* sums) {
    for (int l = 0; l < left_count; l += kTileLefts) {
        Doubles tile_sums[kTileLefts];
#pragma GCC unroll 16
        for (int i = 0; i < kTileLefts; ++i) tile_sums[i] = load_doubles(sums + (l + i) * kWidth);
        add_tile<kRights>(lefts + l * length * kWidth, rights, right_weights, length, exponent,
                          modulus, tile_sums);
#pragma GCC unroll 16
        for (int i = 0; i < kTileLefts; ++i) store(sums + (l + i) * kWidth, tile_sums[i]);
    }
}

// All pairs. Few right multisets at a time go along all left ones, which stay in the nearest cache.
inline Doubles sum_of_pairs(const double* lefts, const double* left_weights, int left_count,
                            const double* rights, const double* right_weights,
                            std::int64_t right_count, int length, int exponent,
                            const Modulus& modulus) {
    double sums[kBucketVectors * kWidth] = {};
    std::int64_t k = 0;
    for (; k + kTileRights <= right_count; k += kTileRights)
        add_column<kTileRights>(lefts, left_count, rights + k * length * kWidth,
                                right_weights + k * kWidth, length, exponent, modulus, sums);
    for (; k < right_count; ++k)
        add_column<1>(lefts, left_count, rights + k * length * kWidth, right_weights + k * kWidth,
                      length, exponent, modulus, sums);
    Doubles total = {};
    for (int l = 0; l < left_count; ++l)
        total += modulus.multiply(load_doubles(sums + l * kWidth),
                                  load_doubles(left_weights + l * kWidth));
    return total;
}

}  // namespace tnm::TNM_ISA
