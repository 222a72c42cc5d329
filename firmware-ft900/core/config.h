/**
 * The configuration block that provisioning writes beside the firmware: who this device is, whom it talks to,
 * and its keys. docs/config-block.md is the layout; this reads it.
 */
#ifndef POSTERN_CONFIG_H
#define POSTERN_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/** Largest block, in bytes: one flash sector of the FT900. */
#define PT_CONFIG_MAX 4096u
#define PT_CONFIG_VERSION 1u
/** Longest device id, in characters; ours have 21. Bounds the topics. */
#define PT_DEVICE_ID_MAX 23u
/** Longest host name, in characters. A DNS name may have 253 (RFC 1035 2.3.4); RAM is dearer here. */
#define PT_HOST_MAX 127u
/** Most bytes of certificates (each of the two lists) and of the key. An RSA-2048 chain of two is 2.1 KB. */
#define PT_CONFIG_CHAIN_MAX 3072u
#define PT_CONFIG_KEY_MAX 1280u
/** Bytes of the first entropy seed, at least and at most. */
#define PT_CONFIG_SEED_MIN 32u
#define PT_CONFIG_SEED_MAX 64u

enum pt_config_tag {
  PT_TAG_DEVICE_ID = 1,    /**< 1-23 characters of a-z A-Z 0-9 _ - */
  PT_TAG_HOST = 2,         /**< name in the broker's certificate: a-z A-Z 0-9 . - */
  PT_TAG_PORT = 3,         /**< 16 bits, not 0 */
  PT_TAG_CA = 4,           /**< trusted root certificates, DER, one after the other */
  PT_TAG_CERTIFICATE = 5,  /**< own chain, leaf first, DER, one after the other */
  PT_TAG_PRIVATE_KEY = 6,  /**< DER, PKCS#8 or SEC1 or PKCS#1, not encrypted */
  PT_TAG_NETWORK = 7,      /**< static addresses; DHCP where it is absent */
  PT_TAG_MAC = 8,          /**< 6 bytes, unicast */
  PT_TAG_SEED = 9,         /**< 32-64 bytes of good randomness, for this device only */
  PT_TAG_HOST_ADDRESS = 10 /**< IPv4 address of the broker, in place of DNS */
};

struct pt_network {
  uint8_t address[4];
  uint8_t netmask[4];
  uint8_t gateway[4];
  uint8_t dns[4];
};

/** Slices of the block, and small values copied out of it. */
struct pt_config {
  char device_id[PT_DEVICE_ID_MAX + 1u];
  char host[PT_HOST_MAX + 1u];
  uint16_t port;
  const uint8_t *ca;
  size_t ca_length;
  const uint8_t *certificate;
  size_t certificate_length;
  const uint8_t *key;
  size_t key_length;
  const uint8_t *seed;
  size_t seed_length;
  bool has_network;
  struct pt_network network;
  bool has_mac;
  uint8_t mac[6];
  bool has_host_address;
  uint8_t host_address[4];
};

enum pt_config_status {
  PT_CONFIG_OK,
  PT_CONFIG_NOT_THERE, /**< no magic: the sector is empty or holds something else */
  PT_CONFIG_VERSION_UNKNOWN,
  PT_CONFIG_LENGTH, /**< the block's length or an item's does not add up */
  PT_CONFIG_CRC,
  PT_CONFIG_ITEM,      /**< an item's value is out of its range */
  PT_CONFIG_DUPLICATE, /**< an item is there twice */
  PT_CONFIG_MISSING,   /**< a required item is not there */
};

/** `config` points into `block`, which must stay; only to be used after PT_CONFIG_OK. */
enum pt_config_status pt_config_parse(const uint8_t *block, size_t length, struct pt_config *config);
/** A sentence for the log. */
const char *pt_config_explain(enum pt_config_status status);
/** The whole length from a block's first 12 bytes; 0 if there is no block of a possible length. */
size_t pt_config_peek_length(const uint8_t header[12]);

#endif
