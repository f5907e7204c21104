// From a tile's size known at run time to templates that have the width of its fields.
#pragma once

#include "fast_path/strip.hpp"

namespace tnm::TNM_ISA {

// select.template operator()<w>(), w being the width of the fields of tiles of m x m.
template <class Select>
inline auto by_field_width(int m, const Select& select) {
    switch (field_width(m)) {
        case 4:
            return select.template operator()<4>();
        case 8:
            return select.template operator()<8>();
        case 16:
            return select.template operator()<16>();
        case 32:
            return select.template operator()<32>();
        default:
            return select.template operator()<64>();
    }
}

}  // namespace tnm::TNM_ISA
