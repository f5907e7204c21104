// From numbers known at run time to the templates that have them as arguments.
#pragma once

#include "fast_path/strip.hpp"
#include "tnm/dtype.hpp"
#include "tnm/pattern.hpp"

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

// select.template operator()<dtype, score>() for what floats hold without a conversion of scores,
// else null.
template <class Function, class Select>
inline Function by_float_type(Dtype dtype, Score score, const Select& select) {
    const auto with = [&]<Dtype kDtype>() -> Function {
        if (score == Score::abs) return select.template operator()<kDtype, Score::abs>();
        if (score == Score::identity) return select.template operator()<kDtype, Score::identity>();
        return nullptr;
    };
    switch (dtype) {
        case Dtype::float16:
            return with.template operator()<Dtype::float16>();
        case Dtype::bfloat16:
            return with.template operator()<Dtype::bfloat16>();
        case Dtype::float32:
            return with.template operator()<Dtype::float32>();
        default:
            return nullptr;
    }
}

}  // namespace tnm::TNM_ISA
