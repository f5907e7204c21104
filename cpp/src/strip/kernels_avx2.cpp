#define TNM_ISA avx2
#include "strip/kernels_of_isa.hpp"
