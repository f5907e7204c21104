// The table of row-wise masks of one instruction set; see simd/vectors-inl.hpp for what the
// including file defines.
#pragma once

#include "rowwise/kernels/groups_of_four-inl.hpp"

namespace tnm::TNM_ISA {

template <class T>
bool mask_groups(const RowwiseTask& task, const LaneRun* runs, int count,
                 const RowwiseSpace& space) {
    using Vector = typename VectorOf<T>::type;
    constexpr int kItemBytes = sizeof(T);
    const int m = task.pattern.m, end = runs[count - 1].first_lane + runs[count - 1].lanes;
    if (runs[0].lanes == kGroupLanes && goes_straight(task, kItemBytes)) {
        if (are_four_rows(task, kItemBytes)) return mask_rows_of_fours<T>(task, runs[0]);
        if constexpr (kItemBytes <= 4) return mask_row_of_fours<T>(task, runs[0]);
    }
    const Lines<T> lines{reinterpret_cast<T*>(space.keys), m};
    // No lane may hold what is left of other groups.
    const bool gaps = count > 1 && runs[1].first_lane != runs[0].lanes;
    if (gaps || runs[0].lanes % kLanes<Vector> != 0)
        std::memset(space.keys, 0,
                    static_cast<std::size_t>(padded_lines(m)) * kGroupLanes * sizeof(T));
    for (int r = 0; r < count; ++r) read_lanes(runs[r], task.elements, lines);
    const Selection<T> selection(task);
    Vector wrong{};
    for (int lane = 0; lane < end; lane += kLanes<Vector>)
        selection.select(lines.vector(lane, 0), reinterpret_cast<T*>(space.ranks), wrong);
    gather_flags(lines, end, space.flags);
    for (int r = 0; r < count; ++r) write_lanes(space.flags, m, task.flags, runs[r]);
    return !any_set(wrong);
}

inline MaskGroups mask_groups_of(int item_bytes) {
    switch (item_bytes) {
        case 1:
            return mask_groups<std::int8_t>;
        case 2:
            return mask_groups<std::int16_t>;
        case 4:
            return mask_groups<std::int32_t>;
        default:
            return mask_groups<std::int64_t>;
    }
}

extern const RowwiseKernels kRowwiseKernels;
const RowwiseKernels kRowwiseKernels = {.mask_groups = mask_groups_of};

}  // namespace tnm::TNM_ISA
