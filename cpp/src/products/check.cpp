// Whether a piece of memory is a packed matrix: everything that products rely on.
#include <bit>
#include <limits>

#include "products/packed_layout.hpp"

namespace tnm {
namespace {

bool is_plausible(const PackedHeader& header) {
    // Far more than fits into memory, and little enough to compute sizes with.
    constexpr std::int64_t kMostSide = std::int64_t{1} << 40;
    constexpr std::int64_t kMostEntries = std::int64_t{1} << 56;
    const bool has_sides = header.rows >= 0 && header.rows < kMostSide && header.columns >= 0 &&
                           header.columns < kMostSide &&
                           (header.rows == 0 || header.columns < kMostEntries / header.rows);
    const auto dtype = static_cast<Dtype>(header.dtype);
    return header.magic == kPackedMagic && has_sides && header.kept >= 0 &&
           header.kept <= header.rows * header.columns && header.dtype >= 0 &&
           header.dtype <= std::numeric_limits<std::uint8_t>::max() &&
           (dtype == Dtype::float32 || dtype == Dtype::bfloat16 || dtype == Dtype::float16);
}

// Whether the bits lie within the columns, and are as many as the begins say.
bool has_consistent_bits(const PackedReader& reader) {
    const PackedLayout& layout = reader.layout();
    // Without rows there may be any number of blocks, and nothing in them.
    const std::int64_t blocks = layout.shape.rows == 0 ? 0 : layout.blocks();
    std::int64_t total = 0;
    for (std::int64_t block = 0; block < blocks; ++block) {
        const std::int64_t columns = layout.shape.columns - block * kBlockColumns;
        const std::uint64_t beyond = columns >= kBlockColumns ? 0 : ~std::uint64_t{0} << columns;
        for (std::int64_t row = 0; row < layout.shape.rows; ++row) {
            if (row % kWindowRows == 0 && reader.begin(block, row / kWindowRows) != total)
                return false;
            const std::uint64_t word = reader.word(block, row);
            if ((word & beyond) != 0) return false;
            total += std::popcount(word);
        }
    }
    return reader.begin_at(layout.blocks() * layout.windows()) == total &&
           total == layout.shape.kept;
}

}  // namespace

std::optional<PackedShape> packed_shape(const std::byte* packed, std::size_t bytes) {
    if (bytes < sizeof(PackedHeader)) return std::nullopt;
    PackedHeader header;
    std::memcpy(&header, packed, sizeof header);
    if (!is_plausible(header)) return std::nullopt;
    const PackedLayout layout(shape_in(packed));
    if (static_cast<std::uint64_t>(layout.bytes()) != bytes) return std::nullopt;
    return layout.shape;
}

bool is_consistent(const std::byte* packed, std::size_t bytes) {
    return packed_shape(packed, bytes) && has_consistent_bits(PackedReader(packed));
}

}  // namespace tnm
