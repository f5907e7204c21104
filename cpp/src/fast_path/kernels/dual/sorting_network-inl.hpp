// Batcher's odd-even merge sort, unrolled at compile time, on arrays of vectors: each lane is a
// sequence of its own. Afterwards values descend.
#pragma once

#include "simd/vectors-inl.hpp"

namespace tnm::TNM_ISA {

struct Comparator {
    int first, second;
};

// Batcher 1968, for sizes that are powers of two.
template <int kSize>
struct Network {
    static constexpr int count_comparators(Comparator* target) {
        int count = 0;
        for (int p = 1; p < kSize; p *= 2)
            for (int k = p; k >= 1; k /= 2)
                for (int j = k % p; j + k < kSize; j += 2 * k)
                    for (int i = 0; i < k; ++i)
                        if (i + j + k < kSize && (i + j) / (2 * p) == (i + j + k) / (2 * p)) {
                            if (target != nullptr) target[count] = {i + j, i + j + k};
                            ++count;
                        }
        return count;
    }

    static constexpr int kComparators = count_comparators(nullptr);

    struct Table {
        Comparator comparators[kComparators] = {};
    };
    static constexpr Table make() {
        Table table;
        count_comparators(table.comparators);
        return table;
    }
    static constexpr Table kTable = make();
};

template <class Vector>
inline __attribute__((always_inline)) void exchange(Vector& larger, Vector& smaller) {
    const Vector low = minimum(larger, smaller);
    larger = maximum(larger, smaller);
    smaller = low;
}

template <int kSize, class Vector>
inline __attribute__((always_inline)) void sort_descending(Vector* values) {
    [&]<std::size_t... c>(std::index_sequence<c...>) __attribute__((always_inline)) {
        (exchange(values[Network<kSize>::kTable.comparators[c].first],
                  values[Network<kSize>::kTable.comparators[c].second]),
         ...);
    }(std::make_index_sequence<Network<kSize>::kComparators>{});
}

// The k-th and the (k+1)-th largest in each lane.
template <class Vector>
struct Neighbours {
    Vector upper, lower;
};

// The k-th largest of two descending sequences a and b of kHalf values each: the largest over all
// i + j = k of min(a_i, b_j), where a_0 and b_0 stand for infinity.
template <int kHalf, class Vector>
inline __attribute__((always_inline)) Vector kth_of_two(const Vector* a, const Vector* b, int k) {
    const int first = k > kHalf ? k - kHalf : 0, last = k < kHalf ? k : kHalf;
    Vector best;
    int i = first;
    if (i == 0) {
        best = b[k - 1];
        ++i;
    } else {
        best = i == k ? a[k - 1] : minimum(a[i - 1], b[k - i - 1]);
        ++i;
    }
    for (; i <= last; ++i)
        best = maximum(best, i == k ? a[k - 1] : minimum(a[i - 1], b[k - i - 1]));
    return best;
}

// 1 <= k < kSize. Destroys `values`.
template <int kSize, class Vector>
inline __attribute__((always_inline)) Neighbours<Vector> select_neighbours(Vector* values, int k) {
    constexpr int kHalf = kSize / 2;
    sort_descending<kHalf>(values);
    sort_descending<kHalf>(values + kHalf);
    return {kth_of_two<kHalf>(values, values + kHalf, k),
            kth_of_two<kHalf>(values, values + kHalf, k + 1)};
}

}  // namespace tnm::TNM_ISA
