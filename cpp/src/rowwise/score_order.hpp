// What the elements of every type are compared by.
#pragma once

#include <type_traits>

#include "rowwise/rowwise_kernels.hpp"
#include "tiles/element.hpp"

namespace tnm {

template <class T>
inline constexpr int kMantissaBits = std::is_same_v<T, Float16>    ? 10
                                     : std::is_same_v<T, Bfloat16> ? 7
                                     : std::is_same_v<T, float>    ? 23
                                                                   : 52;

template <class T>
ScoreOrder score_order(Score score) {
    constexpr std::uint64_t kSign = std::uint64_t{1} << (8 * sizeof(T) - 1);
    if constexpr (std::is_integral_v<T> || std::is_same_v<T, Boolean>) {
        // Magnitudes, the largest of which is beyond signed integers, and unsigned integers are
        // shifted to begin at the lowest signed one.
        const bool as_it_is = std::is_signed_v<T> && score == Score::identity;
        return {std::is_same_v<T, Boolean>, ~std::uint64_t{0}, std::is_signed_v<T> && !as_it_is,
                as_it_is ? 0 : kSign, kSign - 1};
    } else {
        constexpr std::uint64_t kInfinity = (kSign - 1) >> kMantissaBits<T> << kMantissaBits<T>;
        return {false, kSign - 1, score == Score::identity, 0, kInfinity - 1};
    }
}

inline ScoreOrder score_order(Dtype dtype, Score score) {
    return visit_dtype(dtype, [score]<class T>() { return score_order<T>(score); });
}

}  // namespace tnm
