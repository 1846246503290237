#include "ace/errors.hpp"
#include "ace/evaluator.hpp"

namespace ace {

std::unique_ptr<Evaluator> make_avx512(Tables tables, Precision precision);
std::unique_ptr<Evaluator> make_avx2(Tables tables, Precision precision);
std::unique_ptr<Evaluator> make_baseline(Tables tables, Precision precision);

// Here, so that the types are known here alone and not in every instruction set.
Evaluator::~Evaluator() = default;

std::vector<std::string> built_instruction_sets() {
#if defined(__aarch64__)
    return {"neon"};
#else
    std::vector<std::string> built{"baseline"};
#if defined(ACE_WITH_AVX2)
    built.push_back("avx2");
#endif
#if defined(ACE_WITH_AVX512)
    built.push_back("avx512");
#endif
    return built;
#endif
}

std::vector<std::string> instruction_sets() {
    std::vector<std::string> found{built_instruction_sets().front()};
#if defined(ACE_WITH_AVX2)
    __builtin_cpu_init();
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) found.push_back("avx2");
#endif
#if defined(ACE_WITH_AVX512)
    __builtin_cpu_init();
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
        __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512bw"))
        found.push_back("avx512");
#endif
    return found;
}

std::string best_instruction_set() { return instruction_sets().back(); }

void require_instruction_set(const std::string& name) {
    std::string all;
    for (const std::string& known : instruction_sets()) {
        if (known == name) return;
        all += " " + known;
    }
    throw Error("instruction set " + name + " is not available here; expected one of" + all,
                Fault::instruction_set);
}

Precision precision_named(const std::string& name) {
    if (name == "double") return Precision::full;
    if (name == "mixed") return Precision::mixed;
    if (name == "single") return Precision::single;
    throw Error("precision: expected double, mixed or single, got " + name);
}

std::unique_ptr<Evaluator> make_evaluator(Tables tables, const std::string& name,
                                          Precision precision) {
    require_instruction_set(name);
#if defined(ACE_WITH_AVX512)
    if (name == "avx512") return make_avx512(std::move(tables), precision);
#endif
#if defined(ACE_WITH_AVX2)
    if (name == "avx2") return make_avx2(std::move(tables), precision);
#endif
    return make_baseline(std::move(tables), precision);
}

}  // namespace ace
