// Named cases and what they demand; a program of cases fails with the first message of each.
#pragma once
#include <cmath>
#include <cstdio>
#include <exception>
#include <functional>
#include <stdexcept>
#include <string>
#include <vector>

#include "ace/errors.hpp"

namespace ace::test {

inline void demand(bool condition, const std::string& what) {
    if (!condition) throw std::logic_error(what);
}

// |a - b| <= limit; false for NaN.
inline void demand_near(double a, double b, double limit, const std::string& what) {
    if (!(std::abs(a - b) <= limit)) {
        char numbers[120];
        std::snprintf(numbers, sizeof numbers, ": %.17g and %.17g differ by %.2e, allowed %.2e", a,
                      b, std::abs(a - b), limit);
        throw std::logic_error(what + numbers);
    }
}

// The action must throw an Error whose message holds `part`.
inline void demand_error(const std::function<void()>& action, const std::string& part) {
    try {
        action();
    } catch (const Error& e) {
        demand(std::string(e.what()).find(part) != std::string::npos,
               "expected an error with '" + part + "', got '" + e.what() + "'");
        return;
    }
    throw std::logic_error("expected an error with '" + part + "', got none");
}

struct Case {
    const char* name;
    void (*body)();
};

inline int run(const std::vector<Case>& cases) {
    int failed = 0;
    for (const Case& c : cases) {
        try {
            c.body();
            std::printf("ok      %s\n", c.name);
        } catch (const std::exception& e) {
            std::printf("FAILED  %s: %s\n", c.name, e.what());
            failed++;
        }
    }
    return failed ? 1 : 0;
}

}  // namespace ace::test
