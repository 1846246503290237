// The one exception of the library; the C API turns it into a status and a message.
#pragma once
#include <cstdint>
#include <stdexcept>
#include <string>

namespace ace {

struct Error : std::runtime_error {
    explicit Error(const std::string& what) : std::runtime_error(what) {}
    // About one atom, or two that are too close. Each # in `words` stands for the number of one, so
    // that a host can give the numbers that it knows them by.
    Error(const std::string& words, int64_t first, int64_t second = -1);

    // `words` with these numbers.
    static std::string named(const std::string& words, int64_t first, int64_t second);

    std::string words;
    int64_t atoms[2] = {-1, -1};
};

}  // namespace ace
