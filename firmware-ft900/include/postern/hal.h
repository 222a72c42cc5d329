/**
 * What the firmware asks of a board: one struct of functions, filled by hal/<board>/.
 *
 * All functions are called from the one main loop, never from an interrupt, and none keeps a pointer that
 * it was given. `ctx` is handed back as it was set. docs/porting.md says what each must promise.
 */
#ifndef POSTERN_HAL_H
#define POSTERN_HAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/** Highest pin number, inclusive; the wire contract's MAX_PIN. */
#define POSTERN_PIN_MAX 66u
/** Bytes of an Ethernet address (IEEE 802.3). */
#define POSTERN_MAC_LENGTH 6u
/** Largest frame that eth_receive and eth_transmit see, in bytes, without the checksum (IEEE 802.3 3.1.1). */
#define POSTERN_FRAME_MAX 1514u
/** Bytes of the non-volatile state, see core/state.h. */
#define POSTERN_STATE_SIZE 256u

enum postern_direction {
  POSTERN_INPUT,  /**< the pin is read and floats or follows its pull */
  POSTERN_OUTPUT, /**< the pin is driven */
};

struct postern_hal {
  void *ctx;

  /** Milliseconds since some moment; wraps at 2^32 and never runs backwards. */
  uint32_t (*now_ms)(void *ctx);
  /** A sample whose low bits a far observer cannot know: a fast counter, or a true random generator. */
  uint32_t (*jitter)(void *ctx);

  /** False where the pin does not exist. */
  bool (*gpio_direction)(void *ctx, unsigned pin, enum postern_direction direction);
  bool (*gpio_write)(void *ctx, unsigned pin, bool value);
  /** The level at the pin, 0 or 1; -1 where the pin does not exist. */
  int (*gpio_read)(void *ctx, unsigned pin);

  /** Sends all bytes on UART0; blocks while the transmitter is full. False when it cannot. */
  bool (*uart_write)(void *ctx, const uint8_t *data, size_t length);

  /** Seconds since 1970-01-01T00:00:00Z; only times of 2000-2099 are asked for. False: no clock. */
  bool (*rtc_read)(void *ctx, uint32_t *epoch);
  bool (*rtc_write)(void *ctx, uint32_t epoch);

  bool (*eth_link_up)(void *ctx);
  void (*eth_set_mac)(void *ctx, const uint8_t mac[POSTERN_MAC_LENGTH]);
  /** One received frame into `frame`; its length, or 0 when there is none. Frames over `size` are dropped. */
  size_t (*eth_receive)(void *ctx, uint8_t *frame, size_t size);
  /** False when the frame could not be sent; TCP sends it again. */
  bool (*eth_transmit)(void *ctx, const uint8_t *frame, size_t length);

  /** Copies from the configuration block; how many bytes could be read. */
  size_t (*config_read)(void *ctx, size_t offset, uint8_t *data, size_t length);
  /** The state that outlives power: all POSTERN_STATE_SIZE bytes, or false. */
  bool (*state_read)(void *ctx, uint8_t state[POSTERN_STATE_SIZE]);
  bool (*state_write)(void *ctx, const uint8_t state[POSTERN_STATE_SIZE]);

  /** Starts the whole device again. Does not return. */
  void (*reset)(void *ctx);
  /** Called in every turn of the main loop, and in long computations. */
  void (*watchdog_feed)(void *ctx);
  /** Nothing to do just now; may sleep until a frame comes, at most 1 ms. */
  void (*idle)(void *ctx);
  /** One line for the developer, without the line end. Never holds a secret. */
  void (*log)(void *ctx, const char *line);
};

#endif
