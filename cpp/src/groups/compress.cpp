#include "tnm/compress.hpp"

#include <algorithm>
#include <atomic>
#include <cstring>

#include "parallel/guarded.hpp"
#include "parallel/parallel_for.hpp"

namespace tnm {
namespace {

// Which positions of a group are written: all kept ones, and as many dropped ones as n leaves room
// for, lowest first.
class GroupPositions {
  public:
    // Returns false if the group keeps more than n. Every flag is read once, so that there are
    // never more positions than n, whoever writes to the mask meanwhile.
    bool choose(const std::uint8_t* flags, std::int64_t stride, int width, const Pattern& pattern) {
        std::array<bool, kMaxM> in_group{};
        int kept = 0;
        for (int j = 0; j < width; ++j) {
            in_group[j] = flags[j * stride] != 0;
            kept += in_group[j];
        }
        if (kept > pattern.n) return false;
        int fill = pattern.n - kept;
        count_ = 0;
        for (int j = 0; j < pattern.m; ++j) {
            const bool is_kept = in_group[j];
            if (!is_kept && fill-- <= 0) continue;
            positions_[count_] = static_cast<std::uint8_t>(j);
            kept_[count_++] = is_kept;
        }
        return true;
    }
    int count() const { return count_; }
    std::uint8_t position(int k) const { return positions_[k]; }
    bool kept(int k) const { return kept_[k]; }

  private:
    std::array<std::uint8_t, kMaxM> positions_{};
    std::array<bool, kMaxM> kept_{};
    int count_ = 0;
};

// One group of m along the rows after another, in C order over all matrices.
class GroupCursor {
  public:
    GroupCursor(const Strides& strides, int m, std::int64_t group)
        : m_(m), rows_(strides.rows()), columns_(strides.columns()) {
        const std::int64_t groups_per_row = (columns_ + m - 1) / m;
        const std::int64_t line = group / groups_per_row;
        column_ = group % groups_per_row * m;
        row_ = line % rows_;
        plane_ = line / rows_;
    }

    void next() {
        column_ += m_;
        if (column_ < columns_) return;
        column_ = 0;
        if (++row_ < rows_) return;
        row_ = 0;
        ++plane_;
    }
    int width() const { return static_cast<int>(std::min<std::int64_t>(m_, columns_ - column_)); }
    // Byte offset of the group's first element in an array of the same shape.
    std::int64_t offset(const Strides& strides) const {
        return strides.offset(plane_, row_, column_);
    }

  private:
    std::int64_t m_, rows_, columns_;
    std::int64_t plane_ = 0, row_ = 0, column_ = 0;
};

constexpr std::int64_t kEntriesPerRange = 65536;

// Calls work(begin, end) for ranges of groups, on several threads.
template <class Work>
Status for_ranges_of_groups(const Strides& strides, int m, const Execution& execution,
                            const Work& work) {
    const std::int64_t groups =
        strides.planes() * strides.rows() * ((strides.columns() + m - 1) / m);
    const std::int64_t length = std::max<std::int64_t>(1, kEntriesPerRange / m);
    return guarded([&] { return parallel_ranges(groups, length, execution, work); });
}

// Where one group's values come from and go to.
struct PackedGroup {
    const std::byte* data;
    std::int64_t stride;
    std::byte* values;
    std::uint8_t* indices;
};

void pack(const PackedGroup& group, const GroupPositions& positions, std::size_t size) {
    for (int k = 0; k < positions.count(); ++k) {
        std::byte* target = group.values + k * static_cast<std::int64_t>(size);
        const int position = positions.position(k);
        group.indices[k] = static_cast<std::uint8_t>(position);
        if (positions.kept(k))
            std::memcpy(target, group.data + position * group.stride, size);
        else
            std::memset(target, 0, size);
    }
}

}  // namespace

Status compress(const ElementsView& elements, const ConstMaskView& mask, const Pattern& pattern,
                std::byte* values, std::uint8_t* indices, std::optional<std::int64_t>& overfull,
                const Execution& execution) {
    overfull.reset();
    if (!pattern.valid()) return Status::invalid_argument;
    const Strides& strides = elements.strides;
    const auto size = static_cast<std::int64_t>(elements.item_size);
    FirstFound found;
    const auto pack_range = [&](std::int64_t begin, std::int64_t end) {
        GroupPositions positions;
        GroupCursor group(strides, pattern.m, begin);
        for (std::int64_t g = begin; g < end && !found.precedes(g); ++g, group.next()) {
            const std::uint8_t* kept = mask.data + group.offset(mask.strides);
            if (!positions.choose(kept, mask.strides.column_stride(), group.width(), pattern))
                found.report(g);
            else
                pack({elements.data + group.offset(strides), strides.column_stride(),
                      values + g * pattern.n * size, indices + g * pattern.n},
                     positions, elements.item_size);
        }
        return Status::ok;
    };
    const Status status = for_ranges_of_groups(strides, pattern.m, execution, pack_range);
    overfull = found.get();
    return status;
}

Status decompress(const std::byte* values, const std::uint8_t* indices, const Pattern& pattern,
                  const MutableElementsView& elements, bool& valid_indices,
                  const Execution& execution) {
    valid_indices = true;
    if (!pattern.valid()) return Status::invalid_argument;
    const Strides& strides = elements.strides;
    const std::int64_t stride = strides.column_stride();
    std::atomic<bool> valid{true};
    const auto unpack_range = [&](std::int64_t begin, std::int64_t end) {
        GroupCursor group(strides, pattern.m, begin);
        for (std::int64_t g = begin; g < end; ++g, group.next()) {
            std::byte* data = elements.data + group.offset(strides);
            const int width = group.width();
            for (std::int64_t k = g * pattern.n; k < (g + 1) * pattern.n; ++k) {
                const int index = indices[k];
                if (index >= pattern.m) valid.store(false, std::memory_order_relaxed);
                if (index >= width) continue;
                std::memcpy(data + index * stride,
                            values + k * static_cast<std::int64_t>(elements.item_size),
                            elements.item_size);
            }
        }
        return Status::ok;
    };
    const Status status = for_ranges_of_groups(strides, pattern.m, execution, unpack_range);
    valid_indices = valid.load();
    return status;
}

}  // namespace tnm
