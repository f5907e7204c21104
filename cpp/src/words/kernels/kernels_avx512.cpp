#define TNM_ISA avx512
#include "words/kernels/kernels_of_isa-inl.hpp"
