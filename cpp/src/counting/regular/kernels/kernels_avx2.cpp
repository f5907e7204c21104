#define TNM_ISA avx2
#include "counting/regular/kernels/kernels_of_isa-inl.hpp"
