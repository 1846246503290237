#pragma once
#include <cstddef>
#include <cstdint>

namespace ace {

// CRC-32 (polynomial 0xEDB88320, as zlib's crc32) of `size` bytes.
uint32_t checksum(const unsigned char* data, size_t size);

}  // namespace ace
