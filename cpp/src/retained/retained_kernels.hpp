// Adding up scores: what is compiled once for each instruction set.
#pragma once

#include <cstddef>
#include <cstdint>

#include "tnm/dtype.hpp"
#include "tnm/pattern.hpp"

namespace tnm {

// Sums in lanes, as many for vectors of any width, so that none changes the order of additions.
inline constexpr int kSumLanes = 16;
// Elements come in steps of so many.
inline constexpr int kSumStep = 64;

struct ScoreLanes {
    alignas(64) double total[kSumLanes] = {};
    alignas(64) double kept[kSumLanes] = {};
    alignas(64) double largest[kSumLanes] = {};
    std::int64_t kept_entries = 0;
};

// So many steps of neighbouring elements. Memory so many bytes ahead, where the next row is, is
// asked for meanwhile.
struct SumRun {
    std::int64_t steps, elements_ahead, flags_ahead;
};

// The k-th element goes to lane k % kSumLanes. Flags are 0 or 1.
using AddScores = void (*)(const std::byte* elements, const std::uint8_t* flags, const SumRun& run,
                           ScoreLanes& lanes);

struct RetainedKernels {
    AddScores (*add_scores)(Dtype dtype, Score score);
};

// Those of the instruction set in use.
const RetainedKernels& retained_kernels();

}  // namespace tnm
