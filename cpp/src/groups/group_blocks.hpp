// Walking over groups of m entries along the rows, some rows at a time.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstdlib>

#include "parallel/guarded.hpp"
#include "parallel/parallel_for.hpp"
#include "tnm/array_view.hpp"

namespace tnm {

// Rows that lie next to each other, and of each the same few groups; the last one may be cut off at
// the edge. A word of 64 bits holds a bit for each of their columns, unless m > 64: then there is
// one group.
struct GroupBlock {
    std::int64_t plane, row, column;
    int rows, columns, groups;
    // Counted in C order over all groups: that of the first row, and how many a row has.
    std::int64_t first_group, groups_per_row;

    std::int64_t offset(const Strides& strides) const { return strides.offset(plane, row, column); }
};

class GroupBlocks {
  public:
    GroupBlocks(const Strides& strides, int m)
        : m_(m),
          groups_at_once_(std::max(1, 64 / m)),
          rows_at_once_(lies_across(strides) ? 64 : 1),
          rows_(strides.rows()),
          columns_(strides.columns()),
          groups_((columns_ + m - 1) / m),
          across_((groups_ + groups_at_once_ - 1) / groups_at_once_),
          down_((rows_ + rows_at_once_ - 1) / rows_at_once_),
          count_(strides.planes() * down_ * across_) {}

    // Calls visit(block) for all of them, on several threads.
    template <class Visit>
    Status for_each(const Execution& execution, const Visit& visit) const {
        constexpr std::int64_t kEntriesPerRange = 65536;
        const std::int64_t length =
            std::max<std::int64_t>(1, kEntriesPerRange / (rows_at_once_ * groups_at_once_ * m_));
        const auto visit_range = [&](std::int64_t begin, std::int64_t end) {
            std::int64_t line = begin / across_, word = begin % across_;
            for (std::int64_t index = begin; index < end; ++index) {
                visit(block(line, word));
                if (++word == across_) word = 0, ++line;
            }
            return Status::ok;
        };
        return guarded([&] { return parallel_ranges(count_, length, execution, visit_range); });
    }

  private:
    // Whether the entries of a group lie far apart: then those of its neighbours are near.
    static bool lies_across(const Strides& strides) {
        return std::llabs(strides.column_stride()) > std::llabs(strides.row_stride());
    }

    GroupBlock block(std::int64_t line, std::int64_t word) const {
        const std::int64_t row = line % down_ * rows_at_once_, plane = line / down_;
        const std::int64_t group = word * groups_at_once_, column = group * m_;
        const std::int64_t groups = std::min(groups_at_once_, groups_ - group);
        return {plane,
                row,
                column,
                static_cast<int>(std::min(rows_at_once_, rows_ - row)),
                static_cast<int>(std::min(groups * m_, columns_ - column)),
                static_cast<int>(groups),
                (plane * rows_ + row) * groups_ + group,
                groups_};
    }

    const std::int64_t m_, groups_at_once_, rows_at_once_, rows_, columns_, groups_;
    const std::int64_t across_, down_, count_;
};

}  // namespace tnm
