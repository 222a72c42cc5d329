/** The MAC's two FIFOs and the PHY inside the part, polled. */
#ifndef POSTERN_FT900_ETHERNET_H
#define POSTERN_FT900_ETHERNET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "postern/hal.h"

void ft900_ethernet_init(void);
bool ft900_ethernet_link_up(void);
void ft900_ethernet_set_mac(const uint8_t mac[POSTERN_MAC_LENGTH]);
size_t ft900_ethernet_receive(uint8_t *frame, size_t size);
bool ft900_ethernet_transmit(const uint8_t *frame, size_t length);

#endif
