#include "core/config.h"

#include <string.h>

#include "core/crc32.h"

#define HEADER_LENGTH 12u
#define CRC_LENGTH 4u
#define ITEM_HEADER_LENGTH 4u

static const uint8_t MAGIC[4] = {'P', 'S', 'T', 'N'};

static uint16_t get_u16(const uint8_t *at) { return (uint16_t)(at[0] | (at[1] << 8)); }

static uint32_t get_u32(const uint8_t *at) {
  return (uint32_t)at[0] | ((uint32_t)at[1] << 8) | ((uint32_t)at[2] << 16) | ((uint32_t)at[3] << 24);
}

static bool is_alnum(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

/** Copies a text whose characters are alphanumeric or one of `others`. */
static bool copy_text(char *text, size_t max, const uint8_t *value, size_t length, const char *others) {
  if (length == 0 || length > max) return false;
  for (size_t i = 0; i < length; i++) {
    char c = (char)value[i];
    if (!is_alnum(c) && (c == '\0' || strchr(others, c) == NULL)) return false;
    text[i] = c;
  }
  text[length] = '\0';
  return true;
}

static bool take_slice(const uint8_t **slice, size_t *slice_length, const uint8_t *value, size_t length,
                       size_t max) {
  if (length == 0 || length > max) return false;
  *slice = value;
  *slice_length = length;
  return true;
}

static bool take_network(struct pt_network *network, const uint8_t *value, size_t length) {
  if (length != 16u) return false;
  memcpy(network->address, value, 4);
  memcpy(network->netmask, value + 4, 4);
  memcpy(network->gateway, value + 8, 4);
  memcpy(network->dns, value + 12, 4);
  return network->address[0] != 0;
}

static bool take_item(struct pt_config *config, uint16_t tag, const uint8_t *value, size_t length) {
  switch (tag) {
    case PT_TAG_DEVICE_ID: return copy_text(config->device_id, PT_DEVICE_ID_MAX, value, length, "_-");
    case PT_TAG_HOST: return copy_text(config->host, PT_HOST_MAX, value, length, ".-");
    case PT_TAG_PORT:
      if (length != 2u) return false;
      config->port = get_u16(value);
      return config->port != 0;
    case PT_TAG_CA: return take_slice(&config->ca, &config->ca_length, value, length, PT_CONFIG_CHAIN_MAX);
    case PT_TAG_CERTIFICATE:
      return take_slice(&config->certificate, &config->certificate_length, value, length, PT_CONFIG_CHAIN_MAX);
    case PT_TAG_PRIVATE_KEY:
      return take_slice(&config->key, &config->key_length, value, length, PT_CONFIG_KEY_MAX);
    case PT_TAG_NETWORK: config->has_network = true; return take_network(&config->network, value, length);
    case PT_TAG_MAC:
      if (length != sizeof config->mac || (value[0] & 1u) != 0) return false;
      memcpy(config->mac, value, length);
      config->has_mac = true;
      return true;
    case PT_TAG_SEED:
      return length >= PT_CONFIG_SEED_MIN &&
             take_slice(&config->seed, &config->seed_length, value, length, PT_CONFIG_SEED_MAX);
    case PT_TAG_HOST_ADDRESS:
      if (length != sizeof config->host_address || value[0] == 0) return false;
      memcpy(config->host_address, value, length);
      config->has_host_address = true;
      return true;
    default: return true; /* of a later version that changed nothing else: skipped */
  }
}

size_t pt_config_peek_length(const uint8_t header[12]) {
  if (memcmp(header, MAGIC, sizeof MAGIC) != 0) return 0;
  uint32_t total = get_u32(header + 8);
  return total < HEADER_LENGTH + CRC_LENGTH || total > PT_CONFIG_MAX ? 0 : total;
}

enum pt_config_status pt_config_parse(const uint8_t *block, size_t length, struct pt_config *config) {
  uint32_t seen = 0;
  const uint32_t required = (1u << PT_TAG_DEVICE_ID) | (1u << PT_TAG_HOST) | (1u << PT_TAG_PORT) |
                            (1u << PT_TAG_CA) | (1u << PT_TAG_CERTIFICATE) | (1u << PT_TAG_PRIVATE_KEY) |
                            (1u << PT_TAG_SEED);
  memset(config, 0, sizeof *config);
  if (length < HEADER_LENGTH + CRC_LENGTH || memcmp(block, MAGIC, sizeof MAGIC) != 0) return PT_CONFIG_NOT_THERE;
  if (get_u16(block + 4) != PT_CONFIG_VERSION) return PT_CONFIG_VERSION_UNKNOWN;
  size_t total = pt_config_peek_length(block);
  if (total == 0 || total > length || total % 4u != 0) return PT_CONFIG_LENGTH;
  size_t end = total - CRC_LENGTH;
  if (pt_crc32(0, block, end) != get_u32(block + end)) return PT_CONFIG_CRC;
  for (size_t at = HEADER_LENGTH; at < end;) {
    if (end - at < ITEM_HEADER_LENGTH) return PT_CONFIG_LENGTH;
    uint16_t tag = get_u16(block + at);
    size_t item = get_u16(block + at + 2);
    size_t padded = (item + 3u) & ~(size_t)3u;
    at += ITEM_HEADER_LENGTH;
    if (padded > end - at) return PT_CONFIG_LENGTH;
    if (tag < 32u) {
      if ((seen & (1u << tag)) != 0) return PT_CONFIG_DUPLICATE;
      seen |= 1u << tag;
    }
    if (!take_item(config, tag, block + at, item)) return PT_CONFIG_ITEM;
    at += padded;
  }
  return (seen & required) == required ? PT_CONFIG_OK : PT_CONFIG_MISSING;
}

const char *pt_config_explain(enum pt_config_status status) {
  switch (status) {
    case PT_CONFIG_OK: return "configuration: good";
    case PT_CONFIG_NOT_THERE: return "configuration: there is no block; write the one that registration made";
    case PT_CONFIG_VERSION_UNKNOWN: return "configuration: the block is of a version that this firmware does not know";
    case PT_CONFIG_LENGTH: return "configuration: the block's lengths do not add up";
    case PT_CONFIG_CRC: return "configuration: the block is damaged (checksum)";
    case PT_CONFIG_ITEM: return "configuration: an item of the block is out of its range";
    case PT_CONFIG_DUPLICATE: return "configuration: an item is in the block twice";
    case PT_CONFIG_MISSING: break;
  }
  return "configuration: a required item is not in the block";
}
