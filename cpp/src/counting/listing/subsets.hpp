// The subsets of a set of up to eight, by size.
#pragma once

#include <array>
#include <cstdint>

namespace tnm {

struct SubsetList {
    const std::uint8_t* begin;
    const std::uint8_t* end;
};

// All subsets of `set` with `size` elements, as bits, ascending.
SubsetList subsets_of(std::uint8_t set, int size);

}  // namespace tnm
