#include "tiles/store_mask.hpp"

#include <bit>
#include <cstring>

namespace tnm {
namespace {

// Spreads 8 bits over 8 bytes of 0 or 1, bit 0 to the byte at the lowest address.
std::uint64_t bytes_of_bits(std::uint64_t bits) {
    static_assert(std::endian::native == std::endian::little);
    const std::uint64_t copies = (bits & 0xff) * 0x0101010101010101ULL;
    const std::uint64_t selected = copies & 0x8040201008040201ULL;
    return ((selected + 0x00406070787c7e7fULL) >> 7) & 0x0101010101010101ULL;
}

void store_contiguous_row(const TileMask& mask, int i, int columns, std::uint8_t* target) {
    for (int j = 0; j < columns; j += 8) {
        const std::uint64_t flags = bytes_of_bits(mask.word(i, j >> 6) >> (j & 63));
        std::memcpy(target + j, &flags,
                    static_cast<std::size_t>(columns - j < 8 ? columns - j : 8));
    }
}

}  // namespace

void store_mask(const TileMask& mask, int rows, int columns, const FlagsInMemory& flags) {
    const std::int64_t column_stride = flags.column_stride;
    for (int i = 0; i < rows; ++i) {
        std::uint8_t* target = flags.data + i * flags.row_stride;
        if (column_stride == 1) {
            store_contiguous_row(mask, i, columns, target);
        } else {
            for (int j = 0; j < columns; ++j) target[j * column_stride] = mask.test(i, j) ? 1 : 0;
        }
    }
}

}  // namespace tnm
