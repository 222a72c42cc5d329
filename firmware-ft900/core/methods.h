/** The direct methods of the wire contract: what a request must hold, what is done, what is answered. */
#ifndef POSTERN_METHODS_H
#define POSTERN_METHODS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/json.h"
#include "core/state.h"
#include "core/text.h"
#include "postern/hal.h"

/** UART data of one call, in bytes after decoding; the wire contract's MAX_UART_BYTES. */
#define PT_UART_MAX 1024u

/** Addresses of the live interface, as text is made from them. */
struct pt_addresses {
  uint8_t mac[POSTERN_MAC_LENGTH];
  uint8_t ip[4];
  uint8_t netmask[4];
  uint8_t gateway[4];
};

/** What the methods act upon. */
struct pt_device {
  const struct postern_hal *hal;
  struct pt_state *state;
  void *network;
  void (*addresses)(void *network, struct pt_addresses *addresses);
  /** Takes effect at once on the live interface. */
  void (*set_mac)(void *network, const uint8_t mac[POSTERN_MAC_LENGTH]);
};

/** Why a method was not done. `code` is one of the wire contract's DEVICE_ERROR_CODES. */
struct pt_fault {
  const char *code;
  const char *message;
};

enum pt_outcome { PT_DONE, PT_FAULT, PT_DONE_RESTART };

/**
 * Does `method` and writes the reply's fields, without the braces around them.
 * After PT_FAULT `reply` is undefined and `fault` says why; strings in it are constants.
 */
enum pt_outcome pt_methods_call(struct pt_device *device, const char *method, const struct pt_json_object *request,
                                struct pt_text *reply, struct pt_fault *fault);

/** Name of the n-th method, NULL behind the last one. */
const char *pt_methods_name(size_t index);

/** The clock's time in epoch seconds; false if it has none. */
bool pt_methods_now(const struct pt_device *device, uint32_t *epoch);

#endif
