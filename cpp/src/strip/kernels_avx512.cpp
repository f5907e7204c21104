#define TNM_ISA avx512
#include "strip/kernels_of_isa.hpp"
