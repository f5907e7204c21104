#define TNM_ISA avx512
#include "copies/kernels/kernels_of_isa-inl.hpp"
