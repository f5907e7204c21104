#include "rowwise/group_grid.hpp"

#include <algorithm>
#include <cstdlib>
#include <tuple>

#include "tiles/element.hpp"

namespace tnm {
namespace {

// Whether the steps of an axis go on where those of another end.
bool continues(const GroupAxis& outer, const GroupAxis& inner) {
    return outer.element_step == inner.count * inner.element_step &&
           outer.flag_step == inner.count * inner.flag_step;
}

}  // namespace

GroupGrid::GroupGrid(const ArrayView& array, const MaskView& mask, const GroupRange& range)
    : first_element_(array.data + range.first_column * array.strides.column_stride()),
      first_flag_(mask.data + range.first_column * mask.strides.column_stride()),
      item_bytes_(item_bytes(array.dtype)) {
    const Strides &from = array.strides, &to = mask.strides;
    elements = {from.column_stride(), range.m * from.column_stride()};
    flags = {to.column_stride(), range.m * to.column_stride()};
    for (int axis = 0; axis < from.rank - 1; ++axis)
        axes_.push_back({from.shape[axis], from.bytes[axis], to.bytes[axis]});
    axes_.push_back({range.count, elements.between, flags.between});
    merge_axes();
    lanes = take_nearest();
    next = take_nearest();
    elements.between = lanes.element_step;
    flags.between = lanes.flag_step;
}

void GroupGrid::merge_axes() {
    std::erase_if(axes_, [](const GroupAxis& axis) { return axis.count == 1; });
    // All forwards in the array, the longest steps first.
    for (GroupAxis& axis : axes_) {
        if (axis.element_step >= 0) continue;
        first_element_ += (axis.count - 1) * axis.element_step;
        first_flag_ += (axis.count - 1) * axis.flag_step;
        axis = {axis.count, -axis.element_step, -axis.flag_step};
    }
    std::stable_sort(axes_.begin(), axes_.end(), [](const GroupAxis& a, const GroupAxis& b) {
        return std::tuple(a.element_step, std::llabs(a.flag_step)) >
               std::tuple(b.element_step, std::llabs(b.flag_step));
    });
    for (std::size_t k = axes_.size(); k-- > 1;)
        if (continues(axes_[k - 1], axes_[k])) {
            axes_[k].count *= axes_[k - 1].count;
            axes_.erase(axes_.begin() + static_cast<std::ptrdiff_t>(k) - 1);
        }
}

GroupAxis GroupGrid::take_nearest() {
    if (axes_.empty()) return {};
    // Where entries of a group are neighbours, it makes no difference how far apart groups are.
    const auto cost = [&](const GroupAxis& axis) {
        const std::int64_t to_read = elements.in_group == item_bytes_ ? 0 : axis.element_step;
        const std::int64_t to_write = flags.in_group == 1 ? 0 : std::llabs(axis.flag_step);
        return std::tuple(to_read / item_bytes_ + to_write, axis.count < kGroupLanes,
                          axis.element_step);
    };
    const auto nearest =
        std::min_element(axes_.begin(), axes_.end(),
                         [&](const GroupAxis& a, const GroupAxis& b) { return cost(a) < cost(b); });
    const GroupAxis axis = *nearest;
    axes_.erase(nearest);
    return axis;
}

std::int64_t GroupGrid::others() const {
    std::int64_t count = 1;
    for (const GroupAxis& axis : axes_) count *= axis.count;
    return count;
}

GroupPlace GroupGrid::place(std::int64_t other) const {
    GroupPlace place{first_element_, first_flag_};
    for (auto axis = axes_.rbegin(); axis != axes_.rend(); ++axis) {
        place = place.after(*axis, other % axis->count);
        other /= axis->count;
    }
    return place;
}

bool GroupGrid::next_is_farther() const {
    return next.element_step >= lanes.element_step &&
           std::llabs(next.flag_step) >= std::llabs(lanes.flag_step);
}

}  // namespace tnm
