/** CRC-32 of IEEE 802.3 3.2.9 (the one of zlib and PNG): guards against damage, not against an attacker. */
#ifndef POSTERN_CRC32_H
#define POSTERN_CRC32_H

#include <stddef.h>
#include <stdint.h>

/** Begin with `crc` 0 and hand the result back in for the next piece. */
uint32_t pt_crc32(uint32_t crc, const uint8_t *data, size_t length);

#endif
