// The one exception of the library; the C API turns it into a status and a message.
#pragma once
#include <cstdint>
#include <stdexcept>
#include <string>

namespace ace {

// What kind of failure it is, for hosts that act on it; the numbers are those of ace_status.
enum class Fault {
    argument = 1,
    tables,
    too_close,
    not_finite,
    too_dense,
    memory,
    instruction_set,
    threads,
    interrupted,
};

struct Error : std::runtime_error {
    explicit Error(const std::string& what, Fault fault = Fault::argument);
    // About one atom, or two that are too close. Each # in `words` stands for the number of one, so
    // that a host can give the numbers that it knows them by.
    Error(const std::string& words, int64_t first, int64_t second = -1,
          Fault fault = Fault::argument);
    Error(const Error&) = default;
    // In errors.cpp, so that the type is known there alone and not in every instruction set.
    ~Error() override;

    // `words` with these numbers.
    static std::string named(const std::string& words, int64_t first, int64_t second);

    std::string words;
    int64_t atoms[2] = {-1, -1};
    Fault fault;
};

}  // namespace ace
