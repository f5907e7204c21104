// From a type of elements and a score known at run time to templates that have them as arguments.
#pragma once

#include "elements/elements-inl.hpp"
#include "tnm/dtype.hpp"
#include "tnm/pattern.hpp"

namespace tnm::TNM_ISA {

// select.template operator()<dtype, score>(); that of abs where identity is the same.
template <class Function, class Select>
inline Function by_element(Dtype dtype, Score score, const Select& select) {
    const auto with = [&]<Dtype kDtype>() -> Function {
        if (score == Score::square) return select.template operator()<kDtype, Score::square>();
        if constexpr (kIsSigned<kDtype>)
            if (score == Score::identity)
                return select.template operator()<kDtype, Score::identity>();
        return select.template operator()<kDtype, Score::abs>();
    };
    Function found = nullptr;
    [&]<std::size_t... k>(std::index_sequence<k...>) __attribute__((always_inline)) {
        ((dtype == static_cast<Dtype>(k)
              ? static_cast<void>(found = with.template operator()<static_cast<Dtype>(k)>())
              : static_cast<void>(0)),
         ...);
    }(std::make_index_sequence<static_cast<std::size_t>(Dtype::float64) + 1>{});
    return found;
}

}  // namespace tnm::TNM_ISA
