#define TNM_ISA avx2
#include "rowwise/kernels/kernels_of_isa-inl.hpp"
