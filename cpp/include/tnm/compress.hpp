// The compressed form of an N:M sparse array: n values and n positions for each group of m along
// the last axis.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>

#include "tnm/array_view.hpp"
#include "tnm/execution.hpp"
#include "tnm/pattern.hpp"
#include "tnm/status.hpp"

namespace tnm {

// Writes planes x rows x ceil(columns / m) * n values and indices, both C-contiguous. The indices
// of a group ascend; a group that keeps fewer than n is filled up with zero values at the lowest
// positions that it dropped (in a last, shorter group also at positions beyond the edge).
// Sets `overfull` to the number (in C order) of the first group that keeps more than n, or to
// nothing if there is none; the number of threads makes no difference. Unless there is none and the
// status is ok, values and indices are incomplete.
Status compress(const ElementsView& elements, const ConstMaskView& mask, const Pattern& pattern,
                std::byte* values, std::uint8_t* indices, std::optional<std::int64_t>& overfull,
                const Execution& execution);

// Writes every value to its place in `elements`, and zero everywhere else. Sets `valid_indices` to
// whether all indices were below m; if not, or if the status is not ok, `elements` is incomplete.
Status decompress(const std::byte* values, const std::uint8_t* indices, const Pattern& pattern,
                  const MutableElementsView& elements, bool& valid_indices,
                  const Execution& execution);

}  // namespace tnm
