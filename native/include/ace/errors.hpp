// The one exception of the library; the C API turns it into a status and a message.
#pragma once
#include <stdexcept>
#include <string>

namespace ace {

struct Error : std::runtime_error {
    explicit Error(const std::string& what) : std::runtime_error(what) {}
};

}  // namespace ace
