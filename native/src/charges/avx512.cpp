#define ACE_ISA avx512
#define ACE_ISA_NAME "avx512"
#define ACE_MAKE make_pair_loops_avx512
#include "charges/loops.hpp"
