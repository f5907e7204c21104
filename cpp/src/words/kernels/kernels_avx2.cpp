#define TNM_ISA avx2
#include "words/kernels/kernels_of_isa-inl.hpp"
