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

// The compiler would load it anew for each use.
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

template <int kVectors>
inline __attribute__((always_inline)) void load_sums(const float* source,
                                                     Floats (&sums)[kVectors]) {
    each<kVectors>([&]<int v>() __attribute__((always_inline)) {
        sums[v] = load<Floats>(source + v * kFloats);
    });
}
template <int kVectors>
inline __attribute__((always_inline)) void store_sums(const Floats (&sums)[kVectors],
                                                      float* target) {
    each<kVectors>([&]<int v>()
                       __attribute__((always_inline)) { store(target + v * kFloats, sums[v]); });
}

// Values of a row lie in the order of its bits, so that columns may be taken in any order.
template <int kVectors>
inline void add_row_pair(const KeptRow (&rows)[2], const float* panel, float* first_target,
                         float* second_target) {
    Floats sums[2][kVectors];
    load_sums(first_target, sums[0]);
    load_sums(second_target, sums[1]);
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
    store_sums(sums[0], first_target);
    store_sums(sums[1], second_target);
}

// Rows one after another, with their values.
class RowReader {
  public:
    RowReader(const std::byte* words, const float* values) : words_(words), values_(values) {}
    KeptRow next() {
        KeptRow row{0, values_};
        std::memcpy(&row.word, words_, sizeof row.word);
        words_ += sizeof row.word;
        values_ += __builtin_popcountll(row.word);
        return row;
    }

  private:
    const std::byte* words_;
    const float* values_;
};

// A row of the upper half of the window and one of the lower: neighbours are of one tile if the
// mask is transposable, and share fewer columns than others do; at 1:4 none at all.
template <int kVectors>
inline void multiply_row_pairs(const PackedWindow& window, const float* values, const float* panel,
                               float* sums) {
    constexpr std::int64_t kRowFloats = kVectors * kFloats;
    const std::int64_t half = (window.rows + 1) / 2;
    RowReader upper(window.words, values), lower = upper;
    for (std::int64_t row = 0; row < half; ++row) lower.next();
    for (std::int64_t row = 0; row < half; ++row) {
        const bool has_second = half + row < window.rows;
        // A row that is not there keeps nothing; there is room for its sums.
        const KeptRow pair[2] = {upper.next(), has_second ? lower.next() : KeptRow{}};
        add_row_pair<kVectors>(pair, panel, sums + row * kRowFloats,
                               sums + (half + row) * kRowFloats);
    }
}

}  // namespace tnm::TNM_ISA
