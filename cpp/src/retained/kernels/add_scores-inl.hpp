// Scores, and those that flags keep, added up in lanes.
#pragma once

#include "elements/read_elements-inl.hpp"
#include "retained/retained_kernels.hpp"
#include "simd/vectors-inl.hpp"
#include "words/kernels/read_positions-inl.hpp"

namespace tnm::TNM_ISA {

inline constexpr int kCacheLine = 64;
inline constexpr int kLaneVectors = kSumLanes / kLanes<Doubles>;

struct LaneVectors {
    Doubles vectors[kLaneVectors];

    explicit LaneVectors(const double* lanes) {
        for (int k = 0; k < kLaneVectors; ++k)
            vectors[k] = load<Doubles>(lanes + k * kLanes<Doubles>);
    }
    void write(double* lanes) const {
        for (int k = 0; k < kLaneVectors; ++k) store(lanes + k * kLanes<Doubles>, vectors[k]);
    }
};

inline std::int64_t count_flags(const std::uint8_t* flags) {
    std::int64_t kept = 0;
    for (int c = 0; c < kSumStep; c += 8) {
        std::uint64_t eight;
        std::memcpy(&eight, flags + c, sizeof eight);
        kept += __builtin_popcountll(eight);
    }
    return kept;
}

// What a float holds becomes one first: there are instructions for that.
template <Dtype kDtype>
constexpr auto widened() {
    if constexpr (kDtypeBytes<kDtype> <= 2 || kDtype == Dtype::float32)
        return float{};
    else
        return double{};
}

template <Dtype kDtype, Score kScore>
void add_scores(const std::byte* elements, const std::uint8_t* flags, const SumRun& run,
                ScoreLanes& lanes) {
    using T = decltype(widened<kDtype>());
    constexpr int kBytes = kDtypeBytes<kDtype>, kVector = kLanes<Doubles>;
    constexpr int kGroup = kLoadColumns<T>;
    static_assert(kSumStep % kGroup == 0 && kVector <= kSumLanes);
    LaneVectors total(lanes.total), kept(lanes.kept), largest(lanes.largest);
    for (std::int64_t step = 0; step < run.steps; ++step) {
        for (int line = 0; line < kSumStep * kBytes; line += kCacheLine)
            __builtin_prefetch(elements + run.elements_ahead + line);
        __builtin_prefetch(flags + run.flags_ahead);
        for (int first = 0; first < kSumStep; first += kGroup) {
            alignas(64) T space[kGroup];
            const T* values = read_columns<kDtype>(elements + first * kBytes, space);
            for (int c = 0; c < kGroup; c += kVector) {
                const int k = (first + c) / kVector % kLaneVectors;
                const Doubles value = load_doubles(values + c);
                const Doubles size = magnitude(value);
                const Doubles score = kScore == Score::abs      ? size
                                      : kScore == Score::square ? value * value
                                                                : value;
                // Of what is dropped no bit is left, whatever it was.
                const Int64s keep = -reinterpret_cast<Int64s>(words_of_bytes(flags + first + c));
                total.vectors[k] += score;
                kept.vectors[k] +=
                    reinterpret_cast<Doubles>(reinterpret_cast<Int64s>(score) & keep);
                largest.vectors[k] = maximum(size, largest.vectors[k]);
            }
        }
        lanes.kept_entries += count_flags(flags);
        elements += kSumStep * kBytes;
        flags += kSumStep;
    }
    total.write(lanes.total);
    kept.write(lanes.kept);
    largest.write(lanes.largest);
}

}  // namespace tnm::TNM_ISA
