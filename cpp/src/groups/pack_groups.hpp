// Groups of m along the rows of an array, packed to n values and n positions, and back.
#pragma once

#include "tnm/compress.hpp"

namespace tnm {

// As compress and decompress, for valid patterns.
Status pack_groups(const ElementsView& elements, const ConstMaskView& mask, const Pattern& pattern,
                   std::byte* values, std::uint8_t* indices, std::optional<std::int64_t>& overfull,
                   const Execution& execution);
Status unpack_groups(const std::byte* values, const std::uint8_t* indices, const Pattern& pattern,
                     const MutableElementsView& elements, bool& valid_indices,
                     const Execution& execution);

}  // namespace tnm
