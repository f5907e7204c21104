#include "copies/strided_copy.hpp"

#include <algorithm>
#include <cstdlib>
#include <cstring>

#include "tiles/item_bytes.hpp"

namespace tnm {
namespace {

using Step = std::int64_t CopyAxis::*;

// Moves an axis whose elements are neighbours in memory to `position`, if there is one, and turns
// it to run upwards there.
bool move_neighbours(Step step, int item_bytes, std::size_t position, CopyAxes& axes,
                     const std::byte*& from, std::byte*& to) {
    for (std::size_t k = 0; k <= position; ++k) {
        CopyAxis& axis = axes[k];
        if (axis.count == 1 || std::abs(axis.*step) != item_bytes) continue;
        if (axis.*step < 0) {
            from += (axis.count - 1) * axis.from;
            to += (axis.count - 1) * axis.to;
            axis.from = -axis.from;
            axis.to = -axis.to;
        }
        std::swap(axis, axes[position]);
        return true;
    }
    return false;
}

// Calls copy(from, to) for every place along the first kAxes axes.
template <std::size_t kAxes, class Copy>
void for_each_place(const std::byte* from, std::byte* to, const CopyAxis* axes, const Copy& copy) {
    if constexpr (kAxes == 0) {
        copy(from, to);
    } else {
        const CopyAxis axis = *axes;
        for (std::int64_t k = 0; k < axis.count; ++k, from += axis.from, to += axis.to)
            for_each_place<kAxes - 1>(from, to, axes + 1, copy);
    }
}

// Pieces of bytes that are neighbours here and there. Sizes that are known spare most of the time
// of short copies.
void copy_pieces(const std::byte* from, std::byte* to, CopyAxes axes, std::size_t bytes) {
    // A long loop innermost.
    std::sort(axes.begin(), axes.begin() + 3,
              [](const CopyAxis& a, const CopyAxis& b) { return a.count < b.count; });
    const auto copy = [&]<int kBytes>(std::integral_constant<int, kBytes>) {
        for_each_place<3>(
            from, to, axes.data(), [bytes](const std::byte* source, std::byte* target) {
                std::memcpy(target, source, kBytes == 0 ? bytes : std::size_t{kBytes});
            });
    };
    switch (bytes) {
        case 4:
            return copy(std::integral_constant<int, 4>{});
        case 8:
            return copy(std::integral_constant<int, 8>{});
        case 16:
            return copy(std::integral_constant<int, 16>{});
        case 32:
            return copy(std::integral_constant<int, 32>{});
        case 64:
            return copy(std::integral_constant<int, 64>{});
        default:
            return copy(std::integral_constant<int, 0>{});
    }
}

void scatter_row(const std::byte* from, std::byte* to, const CopyAxis& axis, int item_bytes) {
    visit_item_bytes(static_cast<std::size_t>(item_bytes), [&]<std::int64_t kBytes>() {
        for (std::int64_t k = 0; k < axis.count; ++k)
            std::memcpy(to + k * axis.to, from + k * axis.from, static_cast<std::size_t>(kBytes));
    });
}

}  // namespace

RowsInMemory lines_in_memory(const std::byte* from, const CopyAxes& axes, int item_bytes) {
    constexpr std::int64_t kMostBytes = 4096;
    CopyAxis apart{1, 0, 0};
    std::int64_t bytes = item_bytes;
    const auto add_to_lines = [&](const CopyAxis& axis) {
        if (axis.from < 0) from += (axis.count - 1) * axis.from;
        bytes += (axis.count - 1) * std::abs(axis.from);
    };
    for (const CopyAxis& axis : axes) {
        if (axis.count == 0) return {};
        const bool farther = axis.count > 1 && std::abs(axis.from) > std::abs(apart.from);
        add_to_lines(farther ? apart : axis);
        if (farther) apart = axis;
    }
    if (bytes > kMostBytes) return {};
    return {from, apart.from, bytes, static_cast<int>(apart.count)};
}

void StridedCopy::operator()(const std::byte* from, std::byte* to, CopyAxes axes) const {
    CopyAxis &outer = axes[2], &inner = axes[3];
    std::sort(axes.begin(), axes.end(), [](const CopyAxis& a, const CopyAxis& b) {
        return std::abs(a.from) > std::abs(b.from);
    });
    const bool writes_neighbours = move_neighbours(&CopyAxis::to, item_bytes_, 3, axes, from, to);
    if (writes_neighbours && std::abs(inner.from) != item_bytes_ &&
        move_neighbours(&CopyAxis::from, item_bytes_, 2, axes, from, to))
        return for_each_place<2>(from, to, axes.data(),
                                 [&](const std::byte* source, std::byte* target) {
                                     transpose_({source, inner.from, static_cast<int>(outer.count),
                                                 static_cast<int>(inner.count)},
                                                target, outer.to);
                                 });
    if (writes_neighbours && inner.from == item_bytes_)
        return copy_pieces(from, to, axes, static_cast<std::size_t>(inner.count * item_bytes_));
    if (writes_neighbours) return gather_rows(from, to, axes);
    for_each_place<3>(from, to, axes.data(), [&](const std::byte* source, std::byte* target) {
        scatter_row(source, target, inner, item_bytes_);
    });
}

// Where rows lie closer than the elements of a row, a few columns at a time stay in the cache.
void StridedCopy::gather_rows(const std::byte* from, std::byte* to, const CopyAxes& axes) const {
    constexpr std::int64_t kFewColumns = 16;
    const CopyAxis& inner = axes[3];
    const bool rows_are_closer = axes[2].count > 1 && std::abs(axes[2].from) < std::abs(inner.from);
    const std::int64_t step = rows_are_closer ? kFewColumns : inner.count;
    for (std::int64_t k = 0; k < inner.count; k += step)
        for_each_place<3>(from + k * inner.from, to + k * inner.to, axes.data(),
                          [&](const std::byte* source, std::byte* target) {
                              const std::int64_t count = std::min(step, inner.count - k);
                              gather_row_(source, inner.from, static_cast<int>(count), target);
                          });
}

}  // namespace tnm
