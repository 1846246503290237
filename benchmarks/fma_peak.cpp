// Fused multiply-adds of eight doubles per ns that one thread reaches, with vectors of LANES.
#include <algorithm>
#include <chrono>
#include <cstdio>

using Vector = double __attribute__((vector_size(8 * LANES)));

// Twelve independent chains: enough for two a cycle at a latency of up to six, and registers for
// all of them.
#define CHAINS(DO) DO(0) DO(1) DO(2) DO(3) DO(4) DO(5) DO(6) DO(7) DO(8) DO(9) DO(10) DO(11)
#define START(c) Vector sum##c = factor + double(c);
#define STEP(c) sum##c = sum##c * factor + term;
#define KEEP(c) asm volatile("" : "+v"(sum##c));

int main() {
    constexpr long steps = 20'000'000;
    double best = 0.0;
    for (int round = 0; round < 7; round++) {
        const Vector factor = Vector{} + 0.999999, term = Vector{} + 1e-9;
        CHAINS(START)
        const auto begin = std::chrono::steady_clock::now();
        for (long s = 0; s < steps; s++) {
            CHAINS(STEP)
            CHAINS(KEEP)
        }
        const std::chrono::duration<double, std::nano> time =
            std::chrono::steady_clock::now() - begin;
        best = std::max(best, 12.0 * steps * LANES / 8 / time.count());
    }
    std::printf("%.3f\n", best);
}
