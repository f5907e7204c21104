#define TNM_ISA baseline
#include "strip/kernels_of_isa.hpp"
