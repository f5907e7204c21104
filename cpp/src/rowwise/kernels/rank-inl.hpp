// The n highest of every lane, of equal ones the first: all pairs of lines are compared.
//
// There is nothing to sort and nothing to branch on. Lines meet in vectors of integers of the
// elements' own size, so that small elements go many at a time.
#pragma once

#include "rowwise/kernels/read_lanes-inl.hpp"

namespace tnm::TNM_ISA {

// Sets the lanes of `wrong` that are not finite.
template <class T, class Vector>
inline __attribute__((always_inline)) Vector to_key(Vector element, const ScoreOrder& order,
                                                    Vector& wrong) {
    if constexpr (sizeof(T) == 1)
        if (order.is_flag) element = reinterpret_cast<Vector>(element != 0) & 1;
    Vector key = element & static_cast<T>(order.value_bits);
    wrong |= reinterpret_cast<Vector>(key > static_cast<T>(order.largest_finite));
    if (order.reads_sign) {
        const Vector sign = element >> (8 * static_cast<int>(sizeof(T)) - 1);
        key = (key ^ sign) - sign;
    }
    return key ^ static_cast<T>(order.zero);
}

// How many lines beat each; a tie is lost by the later one. `lines`: as padded.
template <class T>
inline void rank_lines(const T* keys, int lines, T* ranks) {
    using Vector = typename VectorOf<T>::type;
    constexpr int kStep = kLanes<Vector>;
    // Line i loses to all lines before it, unless ...
    for (int i = 0; i < lines; ++i) store(ranks + i * kStep, splat<Vector>(static_cast<T>(i)));
    for (int first = 0; first < lines; first += kLinesAtOnce) {
        Vector key[kLinesAtOnce], rank[kLinesAtOnce];
        for (int a = 0; a < kLinesAtOnce; ++a) {
            key[a] = load<Vector>(keys + (first + a) * kStep);
            rank[a] = load<Vector>(ranks + (first + a) * kStep);
        }
        // ... it is higher.
        for (int b = 1; b < kLinesAtOnce; ++b)
            for (int a = 0; a < b; ++a) {
                const auto higher = reinterpret_cast<Vector>(key[b] > key[a]);
                rank[a] -= higher;
                rank[b] += higher;
            }
        for (int i = first + kLinesAtOnce; i < lines; ++i) {
            const auto other = load<Vector>(keys + i * kStep);
            Vector won{};
            for (int a = 0; a < kLinesAtOnce; ++a) {
                const auto higher = reinterpret_cast<Vector>(other > key[a]);
                rank[a] -= higher;
                won += higher;
            }
            store(ranks + i * kStep, load<Vector>(ranks + i * kStep) + won);
        }
        for (int a = 0; a < kLinesAtOnce; ++a) store(ranks + (first + a) * kStep, rank[a]);
    }
}

// The flags of one vector of lanes: byte l of line k, lines being kGroupLanes bytes apart. Turns
// elements into keys. Returns whether all are finite.
template <class T>
inline bool select_highest(const RowwiseTask& task, T* keys, T* ranks, std::uint8_t* flags) {
    using Vector = typename VectorOf<T>::type;
    using Flags = typename VectorOf<std::int8_t, kLanes<Vector>>::type;
    constexpr int kStep = kLanes<Vector>;
    constexpr auto kLowest = static_cast<T>(T{1} << (8 * sizeof(T) - 1));
    const auto [n, m] = task.pattern;
    Vector wrong{};
    for (int k = 0; k < m; ++k)
        store(keys + k * kStep, to_key<T>(load<Vector>(keys + k * kStep), task.order, wrong));
    const int lines = padded_lines(m);
    for (int k = m; k < lines; ++k) store(keys + k * kStep, splat<Vector>(kLowest));
    if (n < m)
        rank_lines(keys, lines, ranks);
    else
        std::memset(ranks, 0, static_cast<std::size_t>(m) * sizeof(Vector));
    const auto above_zero = static_cast<T>(static_cast<T>(task.order.zero) + 1);
    const T least = task.only_positive ? above_zero : kLowest;
    for (int k = 0; k < m; ++k) {
        const auto kept =
            reinterpret_cast<Vector>((load<Vector>(ranks + k * kStep) < static_cast<T>(n)) &
                                     (load<Vector>(keys + k * kStep) >= least));
        const Flags line = __builtin_convertvector(kept, Flags) & 1;
        std::memcpy(flags + k * kGroupLanes, &line, sizeof line);
    }
    return !any_set(wrong);
}

}  // namespace tnm::TNM_ISA
