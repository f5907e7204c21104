#define TNM_ISA avx512
#include "diversity/kernels_of_isa.hpp"
