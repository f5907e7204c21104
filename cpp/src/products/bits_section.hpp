// Writing all of a packed matrix but its values.
#pragma once

#include <algorithm>
#include <bit>
#include <cstring>
#include <vector>

#include "parallel/parallel_for.hpp"
#include "products/packed_layout.hpp"

namespace tnm {

// The words of a window of a block.
struct WordPlace {
    std::int64_t row, column;
    int rows, columns;
};

// Writes header, words, and where windows begin. write_words(place, words) writes one word a row.
// Returns invalid_argument if they keep another number than the shape says; `kept` becomes theirs.
template <class WriteWords>
Status write_bits_section(const PackedShape& shape, std::byte* packed, std::int64_t& kept,
                          const Execution& execution, const WriteWords& write_words) {
    const PackedLayout layout(shape);
    const PackedHeader header{kPackedMagic,
                              shape.rows,
                              shape.columns,
                              shape.kept,
                              static_cast<std::int64_t>(shape.dtype),
                              {}};
    std::memcpy(packed, &header, sizeof header);
    // In the order of `begins`.
    std::vector<std::int64_t> counts(static_cast<std::size_t>(layout.blocks() * layout.windows()));
    const auto pieces = static_cast<std::int64_t>(counts.size());
    const Status status = parallel_each(pieces, 16, execution, [&](std::int64_t piece) {
        const std::int64_t window = piece / layout.blocks(), block = piece % layout.blocks();
        const std::int64_t row = window * kWindowRows, column = block * kBlockColumns;
        const WordPlace place{row, column,
                              static_cast<int>(std::min(kWindowRows, shape.rows - row)),
                              static_cast<int>(std::min(kBlockColumns, shape.columns - column))};
        std::uint64_t words[kWindowRows] = {};
        write_words(place, words);
        std::memcpy(packed + layout.bits_offset() + (block * shape.rows + row) * 8, words,
                    static_cast<std::size_t>(place.rows) * 8);
        std::int64_t& count = counts[static_cast<std::size_t>(block * layout.windows() + window)];
        for (int r = 0; r < place.rows; ++r) count += std::popcount(words[r]);
    });
    if (status != Status::ok) return status;
    kept = 0;
    for (std::int64_t k = 0; k <= pieces; ++k) {
        std::memcpy(packed + layout.begins_offset() + k * 8, &kept, sizeof kept);
        if (k < pieces) kept += counts[static_cast<std::size_t>(k)];
    }
    if (kept != shape.kept) return Status::invalid_argument;
    // Two of one matrix are equal byte for byte.
    const std::int64_t bits_end = layout.bits_offset() + layout.blocks() * shape.rows * 8;
    std::memset(packed + bits_end, 0, static_cast<std::size_t>(layout.values_offset() - bits_end));
    std::memset(packed + layout.bytes() - kReadableBeyond, 0, kReadableBeyond);
    return Status::ok;
}

}  // namespace tnm
