#define TNM_ISA avx2
#include "copies/kernels/kernels_of_isa-inl.hpp"
