#define TNM_ISA avx512
#include "tiles/kernels/kernels_of_isa-inl.hpp"
