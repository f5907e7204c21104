// From a matrix and its mask to the packed form: bits first, then where values begin, then values.
#include <algorithm>
#include <bit>
#include <vector>

#include "parallel/guarded.hpp"
#include "parallel/parallel_for.hpp"
#include "products/packed_layout.hpp"
#include "words/mask_words.hpp"

namespace tnm {
namespace {

void put(std::byte* packed, std::int64_t offset, std::int64_t value) {
    std::memcpy(packed + offset, &value, sizeof value);
}

void write_header(std::byte* packed, const PackedShape& shape) {
    const PackedHeader header{kPackedMagic,
                              shape.rows,
                              shape.columns,
                              shape.kept,
                              static_cast<std::int64_t>(shape.dtype),
                              {}};
    std::memcpy(packed, &header, sizeof header);
}

// The words of a window of a block; returns how many entries they keep.
std::int64_t write_words(const ConstMaskView& mask, const PackedLayout& layout, std::byte* packed,
                         std::int64_t block, std::int64_t window) {
    const std::int64_t row = window * kWindowRows, column = block * kBlockColumns;
    const int rows = static_cast<int>(std::min(kWindowRows, layout.shape.rows - row));
    const int columns = static_cast<int>(std::min(kBlockColumns, layout.shape.columns - column));
    std::uint64_t words[kWindowRows] = {};
    read_mask_words(mask.data + mask.strides.offset(0, row, column), mask.strides.row_stride(),
                    mask.strides.column_stride(), rows, columns, words);
    std::memcpy(packed + layout.bits_offset() + (block * layout.shape.rows + row) * 8, words,
                static_cast<std::size_t>(rows) * 8);
    std::int64_t kept = 0;
    for (int r = 0; r < rows; ++r) kept += std::popcount(words[r]);
    return kept;
}

Status pack_checked(const ElementsView& weights, const ConstMaskView& mask,
                    const PackedShape& shape, std::byte* packed, const Execution& execution) {
    const PackedLayout layout(shape);
    write_header(packed, shape);
    // In the order of `begins`.
    std::vector<std::int64_t> kept(static_cast<std::size_t>(layout.blocks() * layout.windows()));
    const auto write = [&](std::int64_t begin, std::int64_t end) {
        for (std::int64_t piece = begin; piece < end; ++piece) {
            const std::int64_t window = piece / layout.blocks(), block = piece % layout.blocks();
            kept[static_cast<std::size_t>(block * layout.windows() + window)] =
                write_words(mask, layout, packed, block, window);
        }
        return Status::ok;
    };
    const auto pieces = static_cast<std::int64_t>(kept.size());
    const Status status = parallel_ranges(pieces, 16, execution, write);
    if (status != Status::ok) return status;
    std::int64_t total = 0;
    for (std::int64_t k = 0; k < pieces; ++k) {
        put(packed, layout.begins_offset() + k * 8, total);
        total += kept[static_cast<std::size_t>(k)];
    }
    put(packed, layout.begins_offset() + pieces * 8, total);
    if (total != shape.kept) return Status::invalid_argument;
    // Two of one matrix are equal byte for byte.
    const std::int64_t bits_end = layout.bits_offset() + layout.blocks() * shape.rows * 8;
    std::memset(packed + bits_end, 0, static_cast<std::size_t>(layout.values_offset() - bits_end));
    std::memset(packed + layout.bytes() - kReadableBeyond, 0, kReadableBeyond);
    return update_packed(weights, packed, execution);
}

}  // namespace

std::int64_t packed_bytes(const PackedShape& shape) {
    return PackedLayout(shape).bytes();
}

Status pack(const ElementsView& weights, const ConstMaskView& mask, const PackedShape& shape,
            std::byte* packed, const Execution& execution) {
    return guarded([&] { return pack_checked(weights, mask, shape, packed, execution); });
}

}  // namespace tnm
