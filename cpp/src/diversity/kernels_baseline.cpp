#define TNM_ISA baseline
#include "diversity/kernels_of_isa.hpp"
