#include "hal/ft900/flash.h"

#include <string.h>

#include "hal/ft900/memory.h"
#include "hal/ft900/registers.h"

/** Turns of a waiting loop after which the controller counts as stuck; an erase may take 0.4 s. */
#define PATIENCE 20000000u

/*
 * Two sectors are written in turns, so that a power cut in the middle leaves the older state. A sector holds one page
 * of state and one with its number, written after it: what has no number was not finished.
 */
struct slot {
  uint8_t state[FLASH_PAGE];
  uint32_t number;
  uint32_t inverse;
  uint8_t rest[FLASH_PAGE - 8u];
};

static struct slot slot;

static bool wait_ready(void) {
  for (uint32_t i = 0; i < PATIENCE; i++)
    if ((FLASH_STATUS & FLASH_STATUS_BUSY) == 0) return true;
  return false;
}

static bool run(uint8_t command, uint32_t data_address, uint32_t flash_address, uint32_t length) {
  uint32_t patience = PATIENCE;
  while (FLASH_SEMAPHORE != 0)
    if (patience-- == 0) return false;
  bool good = wait_ready();
  for (uint32_t i = 0; i < 3u; i++) {
    FLASH_RSADDR(i) = (uint8_t)((data_address >> 2) >> (8u * i)); /* in words */
    FLASH_FSADDR(i) = (uint8_t)(flash_address >> (8u * i));
    FLASH_BLENGTH(i) = (uint8_t)((length - 1u) >> (8u * i));
  }
  if (good) {
    FLASH_COMMAND = FLASH_COMMAND_WRITE_ENABLE;
    good = wait_ready();
  }
  if (good) {
    FLASH_COMMAND = command;
    good = wait_ready();
  }
  FLASH_SEMAPHORE = 1;
  __asm__ volatile("" ::: "memory"); /* the controller wrote to data memory behind the compiler's back */
  return good;
}

static uint32_t data_address(const void *pointer) { return (uint32_t)(uintptr_t)pointer & 0xffffu; }

/** Reads a sector's slot; its number, 0 if it holds none. */
static uint32_t load(uint32_t sector) {
  if (!run(FLASH_COMMAND_TO_DATA, data_address(&slot), sector, sizeof slot)) return 0;
  return slot.number == ~slot.inverse ? slot.number : 0;
}

bool ft900_flash_read_state(uint8_t state[POSTERN_STATE_SIZE]) {
  uint32_t a = load(FT900_STATE_A);
  uint32_t b = load(FT900_STATE_B);
  if (a == 0 && b == 0) return false;
  if (a > b && load(FT900_STATE_A) != a) return false;
  memcpy(state, slot.state, POSTERN_STATE_SIZE);
  return true;
}

bool ft900_flash_write_state(const uint8_t state[POSTERN_STATE_SIZE]) {
  uint32_t a = load(FT900_STATE_A);
  uint32_t b = load(FT900_STATE_B);
  uint32_t number = (a > b ? a : b) + 1u;
  uint32_t sector = a > b ? FT900_STATE_B : FT900_STATE_A;
  memset(&slot, 0xff, sizeof slot);
  memcpy(slot.state, state, POSTERN_STATE_SIZE);
  slot.number = number;
  slot.inverse = ~number;
  bool good = run(FLASH_COMMAND_SECTOR_ERASE, 0, sector, 1u) &&
              run(FLASH_COMMAND_FROM_DATA, data_address(&slot), sector, FLASH_PAGE) &&
              run(FLASH_COMMAND_FROM_DATA, data_address(&slot) + FLASH_PAGE, sector + FLASH_PAGE, FLASH_PAGE);
  /* Read back: a worn sector must not pass for a kept seed. */
  good = good && load(sector) == number && memcmp(slot.state, state, POSTERN_STATE_SIZE) == 0;
  memset(&slot, 0, sizeof slot);
  return good;
}

void ft900_flash_reboot(void) {
  (void)run(FLASH_COMMAND_TO_DATA_REBOOT, data_address(&slot), FT900_STATE_A, 4u);
}
