#include "ace/errors.hpp"
#include "ace/evaluator.hpp"

namespace ace {

#if defined(ACE_X86)
std::unique_ptr<Evaluator> make_avx512(Tables tables);
std::unique_ptr<Evaluator> make_avx2(Tables tables);
#endif
std::unique_ptr<Evaluator> make_baseline(Tables tables);

std::vector<std::string> built_instruction_sets() {
#if defined(ACE_X86)
    return {"baseline", "avx2", "avx512"};
#elif defined(__aarch64__)
    return {"neon"};
#else
    return {"baseline"};
#endif
}

std::vector<std::string> instruction_sets() {
    std::vector<std::string> found{built_instruction_sets().front()};
#if defined(ACE_X86)
    __builtin_cpu_init();
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) found.push_back("avx2");
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
        __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512bw"))
        found.push_back("avx512");
#endif
    return found;
}

std::string best_instruction_set() { return instruction_sets().back(); }

std::unique_ptr<Evaluator> make_evaluator(Tables tables, const std::string& name) {
    for (const std::string& known : instruction_sets()) {
        if (known != name) continue;
#if defined(ACE_X86)
        if (name == "avx512") return make_avx512(std::move(tables));
        if (name == "avx2") return make_avx2(std::move(tables));
#endif
        return make_baseline(std::move(tables));
    }
    std::string all;
    for (const std::string& known : instruction_sets()) all += " " + known;
    throw Error("instruction set " + name + " is not available here; expected one of" + all);
}

}  // namespace ace
