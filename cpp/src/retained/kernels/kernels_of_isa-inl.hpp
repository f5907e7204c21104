// The table of what adds up scores of one instruction set; see simd/vectors-inl.hpp for what the
// including file defines.
#pragma once

#include "elements/by_element-inl.hpp"
#include "retained/kernels/add_scores-inl.hpp"

namespace tnm::TNM_ISA {

inline AddScores adder_of(Dtype dtype, Score score) {
    return by_element<AddScores>(dtype, score, []<Dtype kDtype, Score kScore>() -> AddScores {
        return add_scores<kDtype, kScore>;
    });
}

extern const RetainedKernels kRetainedKernels;
const RetainedKernels kRetainedKernels = {.add_scores = adder_of};

}  // namespace tnm::TNM_ISA
