#define ACE_ISA baseline
#define ACE_ISA_NAME "baseline"
#define ACE_MAKE make_pair_loops_baseline
#include "charges/loops.hpp"
