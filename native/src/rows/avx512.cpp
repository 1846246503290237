#define ACE_ISA avx512
#define ACE_ISA_NAME "avx512"
#define ACE_MAKE make_rows_avx512
#include "rows/engine.hpp"
