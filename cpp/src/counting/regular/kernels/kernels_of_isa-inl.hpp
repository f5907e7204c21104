// The regular counter's table of one instruction set; see simd/vectors-inl.hpp for what the
// including file defines.
#pragma once

#include "counting/regular/count_pass.hpp"
#include "counting/regular/kernels/enumerate_multisets-inl.hpp"
#include "counting/regular/kernels/evaluate-inl.hpp"

namespace tnm::TNM_ISA {

inline void fill_table(const CountPass& pass, int lane, const RightTable& table,
                       std::int64_t* cursors, const CountScratch& scratch) {
    const MultisetWalk walk(pass, lane, scratch);
    auto keep = [&](const Partial& right) {
        const int group = right.size * pass.roots + right.exponents;
        const std::int64_t index = cursors[group]++;
        const int length = pass.of_size[right.size].window_length;
        const std::int64_t in_size = index - pass.first_right[right.size * pass.roots];
        double* target =
            table.polynomials + (pass.of_size[right.size].table_begin + in_size * length) * kWidth;
        const double* source = walk.polynomial(pass.roots);
        const int last = pass.row_sum - pass.of_size[right.size].window_begin;
        for (int u = 0; u < length; ++u)
            store(target + u * kWidth, load_doubles(source + (last - u) * kWidth));
        store(table.weights + index * kWidth, load_doubles(walk.weight(pass.roots)));
    };
    Partial empty = walk.start(pass.left_bins);
    empty.mirrored = false;
    walk.walk(pass.left_bins, pass.roots, empty, keep);
}

inline void empty_bucket(const CountPass& pass, const Modulus& modulus, const RightTable& table,
                         int size, int exponents, const CountScratch& scratch) {
    const int group = size * pass.roots + exponents;
    const int length = pass.of_size[size].window_length;
    const double* lefts =
        scratch.bucket_polynomials +
        (pass.of_size[size].bucket_begin + exponents * kBucketVectors * length) * kWidth;
    double* weights = scratch.bucket_weights + group * kBucketVectors * kWidth;
    int waiting = scratch.bucket_sizes[group];
    scratch.bucket_sizes[group] = 0;
    for (; waiting % kTileLefts != 0; ++waiting)
        store(weights + waiting * kWidth, splat<Doubles>(0.0));

    const std::int64_t first = pass.first_right[group];
    const std::int64_t in_size = first - pass.first_right[size * pass.roots];
    const double* rights =
        table.polynomials + (pass.of_size[size].table_begin + in_size * length) * kWidth;
    const Doubles total =
        sum_of_pairs(lefts, weights, waiting, rights, table.weights + first * kWidth,
                     pass.first_right[group + 1] - first, length, pass.rows, modulus);
    store(scratch.sum, modulus.reduce(load_doubles(scratch.sum) + total));
}

inline void add_slice(const CountPass& pass, int lane, const RightTable& table,
                      const CountSlice& slice, const CountScratch& scratch) {
    const MultisetWalk walk(pass, lane, scratch);
    auto put = [&](const Partial& left) {
        const int size = pass.columns - left.size;
        const int missing = pass.target - left.exponents;
        const int exponents = missing < 0 ? missing + pass.roots : missing;
        const int group = size * pass.roots + exponents;
        if (pass.first_right[group] == pass.first_right[group + 1]) return;
        const int length = pass.of_size[size].window_length;
        const int slot = scratch.bucket_sizes[group]++;
        double* target =
            scratch.bucket_polynomials +
            (pass.of_size[size].bucket_begin + (exponents * kBucketVectors + slot) * length) *
                kWidth;
        const double* source =
            walk.polynomial(pass.left_bins) + pass.of_size[size].window_begin * kWidth;
        for (int u = 0; u < length; ++u)
            store(target + u * kWidth, load_doubles(source + u * kWidth));
        const Doubles weight = load_doubles(walk.weight(pass.left_bins));
        const bool stands_for_two = pass.halved && !left.mirrored;
        store(scratch.bucket_weights + (group * kBucketVectors + slot) * kWidth,
              stands_for_two ? walk.modulus().reduce(weight + weight) : weight);
        if (slot + 1 == kBucketVectors)
            empty_bucket(pass, walk.modulus(), table, size, exponents, scratch);
    };
    Partial prefix = walk.start(0);
    for (int bin = 0; bin < slice.bins; ++bin) prefix = walk.take(bin, prefix, slice.taken[bin]);
    walk.walk(slice.bins, pass.left_bins, prefix, put);
}

inline void finish(const CountPass& pass, int lane, const RightTable& table,
                   const CountScratch& scratch) {
    const MultisetWalk walk(pass, lane, scratch);
    for (int size = 0; size <= pass.columns; ++size)
        for (int exponents = 0; exponents < pass.roots; ++exponents)
            if (scratch.bucket_sizes[size * pass.roots + exponents] > 0)
                empty_bucket(pass, walk.modulus(), table, size, exponents, scratch);
}

extern const CountKernels kCountKernels;
const CountKernels kCountKernels = {
    .lanes = kLanes<Doubles>,
    .fill_table = fill_table,
    .add_slice = add_slice,
    .finish = finish,
};

}  // namespace tnm::TNM_ISA
