// Two rows of the matrix at a time. Where both keep a column, its tokens are loaded once: a row by
// itself takes a load per multiply-add, and many a core does no more than one in a cycle.
#pragma once

#include "products/kernels/rows-inl.hpp"

namespace tnm::TNM_ISA {

// Two rows have twice as many sums, which the registers of AVX-512 alone can hold.
inline constexpr bool kHasRowPairs = kVectorBytes == 64;

// A row of a block.
struct KeptRow {
    std::uint64_t word;
    const float* values;
};

// The value at the lowest bit of `columns`, some of those that the row keeps.
inline __attribute__((always_inline)) Floats lowest_value(const KeptRow& row,
                                                          std::uint64_t columns) {
    const std::uint64_t before = row.word & ((columns & -columns) - 1);
    return load_value(row.values + __builtin_popcountll(before));
}

template <int kVectors>
inline __attribute__((always_inline)) const float* lowest_column(const float* panel,
                                                                 std::uint64_t columns) {
    return panel + static_cast<std::size_t>(__builtin_ctzll(columns)) * (kVectors * kFloats);
}

// The lowest of `columns`, which only this row keeps; it is taken away.
template <int kVectors>
inline __attribute__((always_inline)) void add_own(const KeptRow& row, std::uint64_t& columns,
                                                   const float* panel, Floats (&sums)[kVectors]) {
    add_column(lowest_column<kVectors>(panel, columns), lowest_value(row, columns), sums);
    columns &= columns - 1;
}

// Where the compiler would load a vector once for each use.
inline __attribute__((always_inline)) Floats keep_in_register(Floats vector) {
#if defined(__x86_64__)
    asm("" : "+v"(vector));
#endif
    return vector;
}

// The lowest of `columns`, which both rows keep; it is taken away.
template <int kVectors>
inline __attribute__((always_inline)) void add_common(const KeptRow (&rows)[2],
                                                      std::uint64_t& columns, const float* panel,
                                                      Floats (&sums)[2][kVectors]) {
    const float* tokens = lowest_column<kVectors>(panel, columns);
    const Floats first = lowest_value(rows[0], columns), second = lowest_value(rows[1], columns);
    each<kVectors>([&]<int v>() __attribute__((always_inline)) {
        const Floats column = keep_in_register(load<Floats>(tokens + v * kFloats));
        sums[0][v] += first * column;
        sums[1][v] += second * column;
    });
    columns &= columns - 1;
}

// Values of a row lie in the order of its bits, so that columns may be taken in any order.
template <int kVectors>
inline void add_row_pair(const KeptRow (&rows)[2], const float* panel, float* target) {
    Floats sums[2][kVectors];
    each<2 * kVectors>([&]<int k>() __attribute__((always_inline)) {
        sums[k / kVectors][k % kVectors] = load<Floats>(target + k * kFloats);
    });
    std::uint64_t common = rows[0].word & rows[1].word;
    std::uint64_t first = rows[0].word & ~common, second = rows[1].word & ~common;
    while (common != 0) add_common(rows, common, panel, sums);
    // Taking turns. With N:M masks both rows have as many left.
    while (first != 0 && second != 0) {
        add_own(rows[0], first, panel, sums[0]);
        add_own(rows[1], second, panel, sums[1]);
    }
    while (first != 0) add_own(rows[0], first, panel, sums[0]);
    while (second != 0) add_own(rows[1], second, panel, sums[1]);
    each<2 * kVectors>([&]<int k>() __attribute__((always_inline)) {
        store(target + k * kFloats, sums[k / kVectors][k % kVectors]);
    });
}

// A row beyond the last keeps nothing; there is room for its sums.
template <int kVectors>
inline void multiply_row_pairs(const PackedWindow& window, const float* values, const float* panel,
                               float* sums) {
    for (std::int64_t row = 0; row < window.rows; row += 2, sums += 2 * kVectors * kFloats) {
        KeptRow pair[2] = {};
        for (int k = 0; k < 2; ++k) {
            if (row + k < window.rows) std::memcpy(&pair[k].word, window.words + (row + k) * 8, 8);
            pair[k].values = values;
            values += __builtin_popcountll(pair[k].word);
        }
        add_row_pair<kVectors>(pair, panel, sums);
    }
}

}  // namespace tnm::TNM_ISA
