#define TNM_ISA avx2
#include "retained/kernels/kernels_of_isa-inl.hpp"
