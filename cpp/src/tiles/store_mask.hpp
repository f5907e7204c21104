// From mask bits to flags of one byte.
#pragma once

#include <cstdint>

#include "tiles/tile.hpp"

namespace tnm {

// Where flags begin, and how far apart rows and columns lie.
struct FlagsInMemory {
    std::uint8_t* data = nullptr;
    std::int64_t row_stride = 0;
    std::int64_t column_stride = 0;

    FlagsInMemory from_column(std::int64_t column) const {
        return {data + column * column_stride, row_stride, column_stride};
    }
};

// Writes rows x columns flags.
void store_mask(const TileMask& mask, int rows, int columns, const FlagsInMemory& flags);

}  // namespace tnm
