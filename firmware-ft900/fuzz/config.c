/* libFuzzer: any bytes as a configuration block; the checksum is mended, or nothing would get past it. */
#include <string.h>

#include "core/config.h"
#include "core/crc32.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  static uint8_t block[PT_CONFIG_MAX + 64u];
  struct pt_config config;
  if (size > sizeof block) return 0;
  memcpy(block, data, size);
  (void)pt_config_parse(block, size, &config);
  if (size < 20u) return 0;
  size &= ~(size_t)3u;
  memcpy(block, "PSTN\1\0\0\0", 8);
  for (int i = 0; i < 4; i++) block[8 + i] = (uint8_t)(size >> (8 * i));
  uint32_t crc = pt_crc32(0, block, size - 4u);
  for (size_t i = 0; i < 4u; i++) block[size - 4u + i] = (uint8_t)(crc >> (8u * i));
  if (pt_config_parse(block, size, &config) == PT_CONFIG_OK) {
    const uint8_t *end = block + size;
    if (config.ca + config.ca_length > end || config.certificate + config.certificate_length > end ||
        config.key + config.key_length > end || config.seed + config.seed_length > end ||
        strlen(config.device_id) > PT_DEVICE_ID_MAX || strlen(config.host) > PT_HOST_MAX)
      __builtin_trap();
  }
  return 0;
}
