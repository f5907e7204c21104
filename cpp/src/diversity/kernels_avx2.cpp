#define TNM_ISA avx2
#include "diversity/kernels_of_isa.hpp"
