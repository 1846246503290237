#include "ace/errors.hpp"

#include <algorithm>

namespace ace {

Error::Error(const std::string& what, Fault fault) : std::runtime_error(what), fault(fault) {}

// Two atoms in ascending order, whichever of them was looked at first.
Error::Error(const std::string& words, int64_t first, int64_t second, Fault fault)
    : std::runtime_error(second >= 0 ? named(words, std::min(first, second), std::max(first, second))
                                     : named(words, first, second)),
      words(words),
      atoms{second >= 0 ? std::min(first, second) : first,
            second >= 0 ? std::max(first, second) : second},
      fault(fault) {}

Error::~Error() = default;

std::string Error::named(const std::string& words, int64_t first, int64_t second) {
    const int64_t numbers[2] = {first, second};
    std::string out;
    int used = 0;
    for (const char c : words)
        if (c == '#' && used < 2)
            out += std::to_string(numbers[used++]);
        else
            out += c;
    return out;
}

}  // namespace ace
