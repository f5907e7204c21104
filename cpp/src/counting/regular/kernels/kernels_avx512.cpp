#define TNM_ISA avx512
#include "counting/regular/kernels/kernels_of_isa-inl.hpp"
