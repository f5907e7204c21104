// From numbers known at run time to the templates that have them as arguments.
#pragma once

#include "fast_path/kernels/strip/elements-inl.hpp"
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
    switch (dtype) {
        case Dtype::boolean:
            return with.template operator()<Dtype::boolean>();
        case Dtype::int8:
            return with.template operator()<Dtype::int8>();
        case Dtype::int16:
            return with.template operator()<Dtype::int16>();
        case Dtype::int32:
            return with.template operator()<Dtype::int32>();
        case Dtype::int64:
            return with.template operator()<Dtype::int64>();
        case Dtype::uint8:
            return with.template operator()<Dtype::uint8>();
        case Dtype::uint16:
            return with.template operator()<Dtype::uint16>();
        case Dtype::uint32:
            return with.template operator()<Dtype::uint32>();
        case Dtype::uint64:
            return with.template operator()<Dtype::uint64>();
        case Dtype::float16:
            return with.template operator()<Dtype::float16>();
        case Dtype::bfloat16:
            return with.template operator()<Dtype::bfloat16>();
        case Dtype::float32:
            return with.template operator()<Dtype::float32>();
        default:
            return with.template operator()<Dtype::float64>();
    }
}

}  // namespace tnm::TNM_ISA
