// From mask bits to flags of one byte.
#pragma once

#include <cstdint>

#include "tiles/tile.hpp"
#include "tnm/array_view.hpp"

namespace tnm {

// Writes rows x columns flags, the first to `flags`, at the strides of the array that they are in.
void store_mask(const TileMask& mask, int rows, int columns, std::uint8_t* flags,
                const Strides& strides);

}  // namespace tnm
