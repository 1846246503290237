#define ACE_ISA baseline
#define ACE_ISA_NAME "baseline"
#define ACE_MAKE make_rows_baseline
#include "rows/engine.hpp"
