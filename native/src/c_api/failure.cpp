#include "failure.hpp"

#include <cstdio>
#include <string>

namespace ace::c_api {

Failure& last_failure() {
    static thread_local Failure failure;
    return failure;
}

int Failure::set(int code, const char* text) {
    status = code;
    std::snprintf(message, sizeof message, "%s", text);
    words[0] = 0;
    atoms[0] = atoms[1] = structure = -1;
    return code;
}

int Failure::set(const Error& error) {
    set(static_cast<int>(error.fault), error.what());
    std::snprintf(words, sizeof words, "%s", error.words.c_str());
    for (int k = 0; k < 2; k++) atoms[k] = error.atoms[k];
    return status;
}

void Failure::in_structure(int64_t which) {
    structure = which;
    for (char* text : {message, words}) {
        if (!*text) continue;
        char old[sizeof message];
        std::snprintf(old, sizeof old, "%s", text);
        std::snprintf(text, sizeof message, "structure %lld: %s", static_cast<long long>(which),
                      old);
    }
}

}  // namespace ace::c_api

using ace::c_api::last_failure;

extern "C" {

int ace_last_status(void) { return last_failure().status; }
const char* ace_last_error(void) { return last_failure().message; }
int64_t ace_last_structure(void) { return last_failure().structure; }

int ace_last_atoms(int64_t* atoms) {
    const ace::c_api::Failure& last = last_failure();
    for (int k = 0; k < 2 && atoms; k++) atoms[k] = last.atoms[k];
    return (last.atoms[0] >= 0) + (last.atoms[1] >= 0);
}

const char* ace_last_error_of(int64_t first, int64_t second) {
    ace::c_api::Failure& last = last_failure();
    if (last.atoms[0] < 0) return last.message;
    try {
        const std::string text = ace::Error::named(last.words, first, second);
        std::snprintf(last.named, sizeof last.named, "%s", text.c_str());
    } catch (...) {  // no memory: better the library's numbers than none
        return last.message;
    }
    return last.named;
}
}
