#define ACE_ISA avx2
#define ACE_ISA_NAME "avx2"
#define ACE_MAKE make_rows_avx2
#include "rows/engine.hpp"
