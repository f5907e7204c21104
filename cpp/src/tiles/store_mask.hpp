// From mask bits to flags of one byte.
#pragma once

#include <cstdint>

#include "tiles/tile.hpp"

namespace tnm {

// A rectangle of mask flags.
struct FlagBlock {
    std::uint8_t* data = nullptr;
    std::int64_t row_stride = 0;
    std::int64_t column_stride = 0;
    int rows = 0;
    int columns = 0;
};

void store_mask(const TileMask& mask, const FlagBlock& block);

}  // namespace tnm
