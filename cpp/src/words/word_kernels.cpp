#include "words/word_kernels.hpp"

#include "simd/kernel_tables.hpp"

namespace tnm {

TNM_KERNELS_IN_USE(WordKernels, kWordKernels, word_kernels)

}  // namespace tnm
