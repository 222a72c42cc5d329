/** The serial flash behind program memory: the sectors that keep the state, and the reboot command. */
#ifndef POSTERN_FT900_FLASH_H
#define POSTERN_FT900_FLASH_H

#include <stdbool.h>
#include <stdint.h>

#include "postern/hal.h"

bool ft900_flash_read_state(uint8_t state[POSTERN_STATE_SIZE]);
bool ft900_flash_write_state(const uint8_t state[POSTERN_STATE_SIZE]);
/** Makes the part begin anew, boot loader first. Returns only if the controller did not do it. */
void ft900_flash_reboot(void);

#endif
