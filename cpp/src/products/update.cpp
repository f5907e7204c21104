// New values for a packed matrix, and all of its values back.
#include <algorithm>
#include <bit>

#include "fast_path/strip_kernels.hpp"
#include "parallel/guarded.hpp"
#include "parallel/parallel_for.hpp"
#include "products/packed_layout.hpp"
#include "products/product_kernels.hpp"

namespace tnm {
namespace {

// A vector of values may be written beyond those that count.
constexpr std::int64_t kRoom = kBlockColumns + kReadableBeyond / 2;

// One window of a block, from elements of a matrix with any strides.
class WindowUpdate {
  public:
    WindowUpdate(const ElementsView& weights, std::byte* packed)
        : weights_(weights), packed_(packed), reader_(packed) {}

    void update(std::int64_t block, std::int64_t window) {
        const PackedWindow place = reader_.window(block, window);
        const std::int64_t item = value_bytes(reader_.shape().dtype);
        const std::int64_t column = block * kBlockColumns;
        const std::int64_t columns = std::min(kBlockColumns, reader_.shape().columns - column);
        std::byte* target = packed_ + (place.values - packed_);
        std::byte* const end = target + place.kept * item;
        const Rows rows = lay_out(window * kWindowRows, place.rows, column, columns);
        for (std::int64_t row = 0; row < place.rows; ++row) {
            std::uint64_t word = 0;
            std::memcpy(&word, place.words + row * 8, 8);
            const bool has_room = rows.whole && end - target >= kRoom * item;
            target = product_kernels().compress(rows.first + row * rows.stride, word, item,
                                                has_room, target);
        }
    }

  private:
    // Rows of elements that lie one after another.
    struct Rows {
        const std::byte* first;
        std::int64_t stride;
        bool whole;  // 64 elements of each may be read
    };

    Rows lay_out(std::int64_t row, std::int64_t rows, std::int64_t column, std::int64_t columns) {
        const std::byte* first = weights_.data + weights_.strides.offset(0, row, column);
        const Strides& strides = weights_.strides;
        const auto item = static_cast<std::int64_t>(weights_.item_size);
        if (strides.column_stride() == item)
            return {first, strides.row_stride(), columns == kBlockColumns};
        if (strides.row_stride() == item)
            strip_kernels().transposing_copy(static_cast<int>(item))(
                {first, strides.column_stride(), static_cast<int>(rows), static_cast<int>(columns)},
                copy_, kBlockColumns * item);
        else
            copy(first, rows, columns);
        return {copy_, kBlockColumns * item, true};
    }

    void copy(const std::byte* first, std::int64_t rows, std::int64_t columns) {
        const std::size_t item = weights_.item_size;
        for (std::int64_t r = 0; r < rows; ++r)
            for (std::int64_t j = 0; j < columns; ++j)
                std::memcpy(copy_ + (r * kBlockColumns + j) * static_cast<std::int64_t>(item),
                            first + r * weights_.strides.row_stride() +
                                j * weights_.strides.column_stride(),
                            item);
    }

    const ElementsView& weights_;
    std::byte* packed_;
    PackedReader reader_;
    alignas(64) std::byte copy_[kWindowEntries * 4];
};

template <class Visit>
Status each_window(const PackedLayout& layout, const Execution& execution, const Visit& visit) {
    constexpr std::int64_t kWindowsOfPiece = 16;
    const std::int64_t pieces = layout.blocks() * layout.windows();
    return parallel_ranges(pieces, kWindowsOfPiece, execution,
                           [&](std::int64_t begin, std::int64_t end) {
                               for (std::int64_t piece = begin; piece < end; ++piece)
                                   visit(piece % layout.blocks(), piece / layout.blocks());
                               return Status::ok;
                           });
}

template <class Element>
void unpack_window(const PackedReader& reader, std::int64_t block, std::int64_t window,
                   const MutableElementsView& weights, const MaskView& mask) {
    const PackedWindow place = reader.window(block, window);
    const std::int64_t column = block * kBlockColumns;
    const std::int64_t columns = std::min(kBlockColumns, reader.shape().columns - column);
    const std::byte* values = place.values;
    for (std::int64_t r = 0; r < place.rows; ++r) {
        const std::int64_t row = window * kWindowRows + r;
        const std::uint64_t word = reader.word(block, row);
        std::byte* element = weights.data + weights.strides.offset(0, row, column);
        std::uint8_t* flag = mask.data + mask.strides.offset(0, row, column);
        for (std::int64_t j = 0; j < columns; ++j) {
            const bool is_kept = (word >> j & 1) != 0;
            Element value{};
            if (is_kept) std::memcpy(&value, values, sizeof value);
            values += is_kept ? sizeof value : 0;
            std::memcpy(element, &value, sizeof value);
            *flag = is_kept;
            element += weights.strides.column_stride();
            flag += mask.strides.column_stride();
        }
    }
}

}  // namespace

Status update_packed(const ElementsView& weights, std::byte* packed, const Execution& execution) {
    const PackedLayout layout(shape_in(packed));
    return guarded([&] {
        return each_window(layout, execution, [&](std::int64_t block, std::int64_t window) {
            WindowUpdate(weights, packed).update(block, window);
        });
    });
}

Status unpack(const std::byte* packed, const MutableElementsView& weights, const MaskView& mask,
              const Execution& execution) {
    const PackedReader reader(packed);
    return guarded([&] {
        return each_window(
            reader.layout(), execution, [&](std::int64_t block, std::int64_t window) {
                if (weights.item_size == 4)
                    unpack_window<std::uint32_t>(reader, block, window, weights, mask);
                else
                    unpack_window<std::uint16_t>(reader, block, window, weights, mask);
            });
    });
}

}  // namespace tnm
