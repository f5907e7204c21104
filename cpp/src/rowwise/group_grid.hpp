// Where the groups of an array lie: along which axes, and which of these to take side by side.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "rowwise/rowwise_kernels.hpp"
#include "tnm/array_view.hpp"

namespace tnm {

// Groups of m entries along the last axis, `count` in every row, from column `first_column` on.
struct GroupRange {
    std::int64_t first_column, count;
    int m;
};

struct GroupAxis {
    std::int64_t count = 1, element_step = 0, flag_step = 0;
};

struct GroupPlace {
    const std::byte* elements;
    std::uint8_t* flags;

    GroupPlace after(const GroupAxis& axis, std::int64_t steps) const {
        return {elements + steps * axis.element_step, flags + steps * axis.flag_step};
    }
};

// The axes of the array, but that the last one counts the groups of a row. What is one axis in
// memory is one here. Two axes stand out, the rest is counted as one.
class GroupGrid {
  public:
    GroupGrid(const ArrayView& array, const MaskView& mask, const GroupRange& range);

    GroupAxis lanes;  // to be taken side by side
    GroupAxis next;   // the nearest beside these
    GroupStrides elements, flags;

    std::int64_t others() const;
    GroupPlace place(std::int64_t other) const;
    // Whether both memories are best walked along `lanes`.
    bool next_is_farther() const;

  private:
    void merge_axes();
    GroupAxis take_nearest();

    const std::byte* first_element_;
    std::uint8_t* first_flag_;
    const std::int64_t item_bytes_;
    std::vector<GroupAxis> axes_;
};

}  // namespace tnm
