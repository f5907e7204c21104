// Counting what a mask keeps, group by group, and whether that is what a pattern asks for.
#pragma once

#include <cstdint>
#include <optional>

#include "tnm/array_view.hpp"
#include "tnm/execution.hpp"
#include "tnm/pattern.hpp"
#include "tnm/status.hpp"

namespace tnm {

// Groups keep at most n; exactly n if `exact`, unless the edge of the shape cuts them short. If
// `transposable` that holds along both axes, and exactly n only in full tiles; else along the last
// axis alone.
struct GroupRule {
    Pattern pattern;
    bool exact = true;
    bool transposable = true;
};

// A count of a byte for each group.
struct CountsView {
    std::uint8_t* data = nullptr;
    Strides strides;
};

struct CountedMask {
    std::int64_t kept = 0;
    // In C order over all tiles: the first that holds a group which breaks the rule.
    std::optional<std::int64_t> first_bad_tile;
};

// Counts the kept entries of every group of m along the last axis, and of every group of m along
// the axis before it:
//   row_counts     planes x rows x ceil(columns / m)
//   column_counts  planes x ceil(rows / m) x columns
Status count_kept(const ConstMaskView& mask, const GroupRule& rule, const CountsView& row_counts,
                  const CountsView& column_counts, CountedMask& counted,
                  const Execution& execution);

}  // namespace tnm
