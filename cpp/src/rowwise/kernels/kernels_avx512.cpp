#define TNM_ISA avx512
#include "rowwise/kernels/kernels_of_isa-inl.hpp"
