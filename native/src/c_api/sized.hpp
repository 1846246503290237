// Structs of callers, who may have been compiled with another version of the header.
#pragma once
#include <algorithm>
#include <cstring>
#include <string>

#include "ace/errors.hpp"

namespace ace::c_api {

// Larger ones are no structs but memory that nobody set.
constexpr size_t most_bytes = 4096;

// A caller's struct as this library knows it: members that the caller does not know are zero.
// Throws Error if it has others that are not zero, or no sensible size.
template <class T>
T sized(const T* given, const char* name) {
    if (!given) throw Error(std::string(name) + ": expected a struct, got null");
    const size_t size = given->size;
    if (size < sizeof(size_t) || size > most_bytes)
        throw Error(std::string(name) + ".size: expected sizeof(ace_" + name + ") = " +
                    std::to_string(sizeof(T)) + ", got " + std::to_string(size));
    const auto* bytes = reinterpret_cast<const unsigned char*>(given);
    for (size_t k = sizeof(T); k < size; k++)
        if (bytes[k])
            throw Error(std::string(name) + ": has members of a newer version than this library's");
    T known{};
    std::memcpy(&known, given, std::min(size, sizeof(T)));
    return known;
}

}  // namespace ace::c_api
