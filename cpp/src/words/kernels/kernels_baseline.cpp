#define TNM_ISA baseline
#include "words/kernels/kernels_of_isa-inl.hpp"
