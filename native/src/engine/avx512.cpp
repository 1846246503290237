#define ACE_ISA avx512
#define ACE_ISA_NAME "avx512"
#define ACE_MAKE make_avx512
#include "engine/engine.hpp"
