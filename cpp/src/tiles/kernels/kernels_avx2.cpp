#define TNM_ISA avx2
#include "tiles/kernels/kernels_of_isa-inl.hpp"
