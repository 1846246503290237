#include "tables/checksum.hpp"

#include <array>
#include <cstring>

namespace ace {
namespace {

using Table = std::array<std::array<uint32_t, 256>, 8>;

// remainders[k][b]: of the byte b followed by k zeros.
constexpr Table remainders_of_bytes() {
    Table out{};
    for (uint32_t b = 0; b < 256; b++) {
        uint32_t r = b;
        for (int bit = 0; bit < 8; bit++) r = r & 1 ? r >> 1 ^ 0xEDB88320u : r >> 1;
        out[0][b] = r;
    }
    for (uint32_t b = 0; b < 256; b++)
        for (int k = 1; k < 8; k++) out[k][b] = out[k - 1][b] >> 8 ^ out[0][out[k - 1][b] & 255];
    return out;
}

constexpr Table remainders = remainders_of_bytes();

}  // namespace

uint32_t checksum(const unsigned char* data, size_t size) {
    uint32_t r = 0xFFFFFFFFu;
    for (; size >= 8; size -= 8, data += 8) {
        uint32_t low, high;
        std::memcpy(&low, data, 4);
        std::memcpy(&high, data + 4, 4);
        low ^= r;
        r = remainders[7][low & 255] ^ remainders[6][low >> 8 & 255] ^
            remainders[5][low >> 16 & 255] ^ remainders[4][low >> 24] ^
            remainders[3][high & 255] ^ remainders[2][high >> 8 & 255] ^
            remainders[1][high >> 16 & 255] ^ remainders[0][high >> 24];
    }
    for (; size > 0; size--, data++) r = r >> 8 ^ remainders[0][(r ^ *data) & 255];
    return ~r;
}

}  // namespace ace
