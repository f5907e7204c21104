// From the size of an element, known at run time, to code that is compiled for it.
#pragma once

#include <cstddef>

namespace tnm {

// Calls visit.template operator()<bytes>() with 1, 2, 4, 8 or 16.
template <class Visit>
void visit_item_bytes(std::size_t bytes, const Visit& visit) {
    switch (bytes) {
        case 1:
            return visit.template operator()<1>();
        case 2:
            return visit.template operator()<2>();
        case 4:
            return visit.template operator()<4>();
        case 8:
            return visit.template operator()<8>();
        default:
            return visit.template operator()<16>();
    }
}

}  // namespace tnm
