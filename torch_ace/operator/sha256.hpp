// SHA-256 as FIPS 180-4 defines it, in lower-case hexadecimal.
#pragma once
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>

inline std::string sha256(const unsigned char* data, size_t size) {
    // The first 32 bits of the fractional parts of the cube roots of the first 64 primes.
    static constexpr uint32_t k[64] = {
        0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4,
        0xab1c5ed5, 0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe,
        0x9bdc06a7, 0xc19bf174, 0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f,
        0x4a7484aa, 0x5cb0a9dc, 0x76f988da, 0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7,
        0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967, 0x27b70a85, 0x2e1b2138, 0x4d2c6dfc,
        0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85, 0xa2bfe8a1, 0xa81a664b,
        0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070, 0x19a4c116,
        0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
        0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7,
        0xc67178f2};
    std::array<uint32_t, 8> h = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
                                 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};
    const auto block = [&h](const unsigned char* p) {
        uint32_t w[64];
        for (int t = 0; t < 16; t++)
            w[t] = uint32_t(p[4 * t]) << 24 | uint32_t(p[4 * t + 1]) << 16 |
                   uint32_t(p[4 * t + 2]) << 8 | uint32_t(p[4 * t + 3]);
        for (int t = 16; t < 64; t++) {
            const uint32_t a = w[t - 15], b = w[t - 2];
            w[t] = w[t - 16] + w[t - 7] + (std::rotr(a, 7) ^ std::rotr(a, 18) ^ a >> 3) +
                   (std::rotr(b, 17) ^ std::rotr(b, 19) ^ b >> 10);
        }
        auto s = h;
        for (int t = 0; t < 64; t++) {
            const uint32_t a = s[0], e = s[4];
            const uint32_t one = s[7] + (std::rotr(e, 6) ^ std::rotr(e, 11) ^ std::rotr(e, 25)) +
                                 ((e & s[5]) ^ (~e & s[6])) + k[t] + w[t];
            const uint32_t two = (std::rotr(a, 2) ^ std::rotr(a, 13) ^ std::rotr(a, 22)) +
                                 ((a & s[1]) ^ (a & s[2]) ^ (s[1] & s[2]));
            s = {one + two, a, s[1], s[2], s[3] + one, e, s[5], s[6]};
        }
        for (int i = 0; i < 8; i++) h[i] += s[i];
    };
    for (size_t at = 0; at + 64 <= size; at += 64) block(data + at);
    unsigned char tail[128] = {};
    const size_t left = size % 64, end = left < 56 ? 64 : 128;
    if (left) std::memcpy(tail, data + size - left, left);
    tail[left] = 0x80;
    for (int i = 0; i < 8; i++) tail[end - 1 - i] = uint64_t(size) * 8 >> (8 * i) & 0xff;
    for (size_t at = 0; at < end; at += 64) block(tail + at);
    std::string text;
    for (const uint32_t word : h)
        for (int shift = 28; shift >= 0; shift -= 4) text += "0123456789abcdef"[word >> shift & 15];
    return text;
}
