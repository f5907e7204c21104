#include "tnm/compress.hpp"

#include <algorithm>
#include <cstring>

namespace tnm {
namespace {

// Which positions of a group are written: all kept ones, and as many dropped ones as n leaves room
// for, lowest first.
class GroupPositions {
  public:
    // Returns false if the group keeps more than n.
    bool choose(const std::uint8_t* flags, std::int64_t stride, int width, const Pattern& pattern) {
        int kept = 0;
        for (int j = 0; j < width; ++j) kept += flags[j * stride] != 0;
        if (kept > pattern.n) return false;
        int fill = pattern.n - kept;
        count_ = 0;
        for (int j = 0; j < pattern.m; ++j) {
            const bool is_kept = j < width && flags[j * stride] != 0;
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

// Calls visit(group number, plane, row, first column, width) for every
// group in C order until it returns false.
template <class Visit>
void for_each_group(const Layout& layout, int m, Visit&& visit) {
    const std::int64_t groups = (layout.columns() + m - 1) / m;
    std::int64_t number = 0;
    for (std::int64_t plane = 0; plane < layout.planes(); ++plane) {
        for (std::int64_t i = 0; i < layout.rows(); ++i) {
            for (std::int64_t g = 0; g < groups; ++g, ++number) {
                const auto width =
                    static_cast<int>(std::min<std::int64_t>(m, layout.columns() - g * m));
                if (!visit(number, plane, i, g * m, width)) return;
            }
        }
    }
}

}  // namespace

std::optional<std::int64_t> compress(const ElementsView& elements, const ConstMaskView& mask,
                                     const Pattern& pattern, std::byte* values,
                                     std::uint8_t* indices) {
    std::optional<std::int64_t> overfull;
    GroupPositions positions;
    const std::size_t size = elements.item_size;
    const Layout& source = elements.layout;
    const Layout& flags = mask.layout;
    for_each_group(
        source, pattern.m,
        [&](std::int64_t number, std::int64_t plane, std::int64_t row, std::int64_t column,
            int width) {
            const std::byte* data = elements.data + source.plane_offset(plane) +
                                    row * source.row_stride() + column * source.column_stride();
            const std::uint8_t* kept = mask.data + flags.plane_offset(plane) +
                                       row * flags.row_stride() + column * flags.column_stride();
            if (!positions.choose(kept, flags.column_stride(), width, pattern)) {
                overfull = number;
                return false;
            }
            for (int k = 0; k < positions.count(); ++k) {
                std::byte* target =
                    values + (number * pattern.n + k) * static_cast<std::int64_t>(size);
                const int position = positions.position(k);
                indices[number * pattern.n + k] = static_cast<std::uint8_t>(position);
                if (positions.kept(k))
                    std::memcpy(target, data + position * source.column_stride(), size);
                else
                    std::memset(target, 0, size);
            }
            return true;
        });
    return overfull;
}

bool decompress(const std::byte* values, const std::uint8_t* indices, const Pattern& pattern,
                const MutableElementsView& elements) {
    bool valid = true;
    const std::size_t size = elements.item_size;
    const Layout& target = elements.layout;
    for_each_group(
        target, pattern.m,
        [&](std::int64_t number, std::int64_t plane, std::int64_t row, std::int64_t column,
            int width) {
            std::byte* data = elements.data + target.plane_offset(plane) +
                              row * target.row_stride() + column * target.column_stride();
            for (std::int64_t k = number * pattern.n; k < (number + 1) * pattern.n; ++k) {
                valid &= indices[k] < pattern.m;
                if (indices[k] >= width) continue;
                std::memcpy(data + indices[k] * target.column_stride(),
                            values + k * static_cast<std::int64_t>(size), size);
            }
            return valid;
        });
    return valid;
}

}  // namespace tnm
