// The words' table of one instruction set; see simd/vectors-inl.hpp for what the including file
// defines.
#pragma once

#include "words/kernels/read_positions-inl.hpp"
#include "words/kernels/transpose_words-inl.hpp"
#include "words/kernels/words-inl.hpp"

namespace tnm::TNM_ISA {

extern const WordKernels kWordKernels;
const WordKernels kWordKernels = {
    .read_words = read_words,
    .read_positions = read_positions,
    .transpose = transpose_words,
    .count_exact = count_exact,
    .elements_of = elements_of,
};

}  // namespace tnm::TNM_ISA
