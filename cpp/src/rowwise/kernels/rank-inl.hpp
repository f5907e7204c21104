// The n highest of every lane, of equal ones the first: all pairs of lines are compared, or, where
// there are many, all lines with bounds that close in on the n-th.
//
// There is nothing to sort and nothing to branch on. Lines meet in vectors of integers of the
// elements' own size, so that small elements go many at a time.
#pragma once

#include "rowwise/kernels/nth_highest-inl.hpp"
#include "rowwise/kernels/read_lanes-inl.hpp"

namespace tnm::TNM_ISA {

template <class T>
struct UnsignedOf;
template <>
struct UnsignedOf<std::int8_t> {
    using type = std::uint8_t;
};
template <>
struct UnsignedOf<std::int16_t> {
    using type = std::uint16_t;
};
template <>
struct UnsignedOf<std::int32_t> {
    using type = std::uint32_t;
};
template <>
struct UnsignedOf<std::int64_t> {
    using type = std::uint64_t;
};

// Sets the lanes of `wrong` that are not finite.
template <class T, class Vector>
inline __attribute__((always_inline)) Vector to_key(Vector element, const ScoreOrder& order,
                                                    Vector& wrong) {
    if constexpr (sizeof(T) == 1)
        if (order.is_flag) element = reinterpret_cast<Vector>(element != 0) & 1;
    Vector key = element & static_cast<T>(order.value_bits);
    wrong |= reinterpret_cast<Vector>(key > static_cast<T>(order.largest_finite));
    if (order.reads_sign) {
        // Unsigned, since the least integer has no negative.
        using Unsigned = typename VectorOf<typename UnsignedOf<T>::type>::type;
        const Vector sign = element >> (8 * static_cast<int>(sizeof(T)) - 1);
        key = reinterpret_cast<Vector>(reinterpret_cast<Unsigned>(key ^ sign) -
                                       reinterpret_cast<Unsigned>(sign));
    }
    return key ^ static_cast<T>(order.zero);
}

// Counts the higher ones among neighbouring lines: of each, and of the earlier ones not to be
// counted.
template <class Vector>
inline __attribute__((always_inline)) void rank_among(const Vector (&key)[kLinesAtOnce],
                                                      Vector (&rank)[kLinesAtOnce]) {
    for (int b = 1; b < kLinesAtOnce; ++b)
        for (int a = 0; a < b; ++a) {
            const auto higher = reinterpret_cast<Vector>(key[b] > key[a]);
            rank[a] -= higher;
            rank[b] += higher;
        }
}

// How many lines beat each; a tie is lost by the later one. `lines`: as padded.
template <class T>
inline void rank_lines(const T* keys, int lines, T* ranks) {
    using Vector = typename VectorOf<T>::type;
    constexpr int kStep = kLanes<Vector>;
    // A line loses to all before it, unless it is higher.
    for (int i = 0; i < lines; ++i) store(ranks + i * kStep, splat<Vector>(static_cast<T>(i)));
    for (int first = 0; first < lines; first += kLinesAtOnce) {
        Vector key[kLinesAtOnce], rank[kLinesAtOnce];
        for (int a = 0; a < kLinesAtOnce; ++a) {
            key[a] = load<Vector>(keys + (first + a) * kStep);
            rank[a] = load<Vector>(ranks + (first + a) * kStep);
        }
        rank_among(key, rank);
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

// What a task asks for, in vectors of elements.
template <class T>
class Selection {
    using Vector = typename VectorOf<T>::type;
    static constexpr auto kLowest = static_cast<T>(T{1} << (8 * sizeof(T) - 1));
    static constexpr int kStep = kLanes<Vector>;

  public:
    explicit Selection(const RowwiseTask& task)
        : order_(task.order),
          n_(task.pattern.n),
          m_(task.pattern.m),
          least_(splat<Vector>(task.only_positive ? static_cast<T>(static_cast<T>(order_.zero) + 1)
                                                  : kLowest)),
          last_rank_(splat<Vector>(static_cast<T>(n_ - 1))) {}

    // Turns elements, line after line, into -1 where they are kept, 0 elsewhere; sets the lanes of
    // `wrong` that are not finite.
    void select(T* elements, T* ranks, Vector& wrong) const {
        const int lines = padded_lines(m_);
        for (int k = 0; k < m_; ++k)
            store(elements + k * kStep,
                  to_key<T>(load<Vector>(elements + k * kStep), order_, wrong));
        if (n_ < m_ && m_ >= kLeastLinesBounded) return keep_highest(elements, m_, n_, least_);
        for (int k = m_; k < lines; ++k) store(elements + k * kStep, splat<Vector>(kLowest));
        if (n_ < m_)
            rank_lines(elements, lines, ranks);
        else
            std::memset(ranks, 0, static_cast<std::size_t>(m_) * sizeof(Vector));
        for (int k = 0; k < m_; ++k)
            store(elements + k * kStep,
                  kept(load<Vector>(ranks + k * kStep), load<Vector>(elements + k * kStep)));
    }

    // For m = 4.
    __attribute__((always_inline)) void select_of_four(Vector (&line)[kLinesAtOnce],
                                                       Vector& wrong) const {
        Vector rank[kLinesAtOnce];
        for (int k = 0; k < kLinesAtOnce; ++k) {
            line[k] = to_key<T>(line[k], order_, wrong);
            rank[k] = splat<Vector>(static_cast<T>(k));
        }
        rank_among(line, rank);
        for (int k = 0; k < kLinesAtOnce; ++k) line[k] = kept(rank[k], line[k]);
    }

  private:
    __attribute__((always_inline)) Vector kept(Vector rank, Vector key) const {
        return ~reinterpret_cast<Vector>((rank > last_rank_) | (least_ > key));
    }

    const ScoreOrder& order_;
    const int n_, m_;
    const Vector least_, last_rank_;
};

}  // namespace tnm::TNM_ISA
