// For every processor of the architecture: on aarch64 its vectors are NEON's.
#define ACE_ISA baseline
#if defined(__aarch64__)
#define ACE_ISA_NAME "neon"
#else
#define ACE_ISA_NAME "baseline"
#endif
#define ACE_MAKE make_baseline
#include "engine/engine.hpp"
