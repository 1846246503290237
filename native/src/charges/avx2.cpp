#define ACE_ISA avx2
#define ACE_ISA_NAME "avx2"
#define ACE_MAKE make_pair_loops_avx2
#include "charges/loops.hpp"
