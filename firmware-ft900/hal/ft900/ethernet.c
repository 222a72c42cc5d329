#include "hal/ft900/ethernet.h"

#include "hal/ft900/registers.h"

/** Turns of a waiting loop: the longest frame leaves in 1.2 ms at 10 Mbit/s, an MII transaction takes 26 us. */
#define PATIENCE 1000000u
/** MII clock: 100 MHz / (2 * (19 + 1)) = 2.5 MHz, the fastest that IEEE 802.3 22.2.2.13 allows. */
#define MII_DIVIDER 19u
#define MII_CONTROL 0u
#define MII_CONTROL_RESET (1u << 15)
#define MII_CONTROL_NEGOTIATE (1u << 12)
#define MII_CONTROL_ISOLATE (1u << 10)
#define MII_CONTROL_NEGOTIATE_AGAIN (1u << 9)
#define MII_ADVERTISE 4u
/** 10 and 100 Mbit/s, half and full duplex, CSMA/CD (IEEE 802.3 28.2.4.1.3). */
#define MII_ADVERTISE_ALL 0x01e1u
/** The FIFO's length field counts itself and the frame's checksum. */
#define RX_LENGTH_FIELD 2u
#define RX_CHECKSUM 4u
#define TX_HEADER 14u

static bool mii_finish(void) {
  for (uint32_t i = 0; i < PATIENCE; i++) {
    if ((ETH_INT_STATUS & ETH_INT_MII) != 0) {
      ETH_INT_STATUS = ETH_INT_MII;
      return true;
    }
  }
  return false;
}

static void mii_write(unsigned reg, uint16_t value) {
  ETH_MNG_TX0 = value;
  ETH_MNG_CNTL = (uint8_t)(reg << ETH_MNG_REGISTER_SHIFT | ETH_MNG_START | ETH_MNG_WRITE);
  (void)mii_finish();
  ETH_MNG_CNTL = 0;
}

static uint16_t mii_read(unsigned reg) {
  ETH_MNG_CNTL = (uint8_t)(reg << ETH_MNG_REGISTER_SHIFT | ETH_MNG_START);
  uint16_t value = mii_finish() ? ETH_MNG_RX0 : 0;
  ETH_MNG_CNTL = 0;
  return value;
}

void ft900_ethernet_init(void) {
  uint32_t patience = PATIENCE;
  SYS_CLKCFG |= SYS_CLKCFG_ETHERNET;
  SYS_MSC0CFG |= SYS_MSC0CFG_PHY_RESET;
  while ((SYS_MSC0CFG & SYS_MSC0CFG_PHY_RESET) != 0 && patience-- > 0) {
  }
  ETHPHY_MISC = (ETHPHY_MISC & ~ETHPHY_MISC_ADDRESS_MASK) | ETHPHY_ADDRESS;
  ETH_MNG_ADDR = ETHPHY_ADDRESS;
  ETH_MNG_DIV = MII_DIVIDER;
  ETH_INT_ENABLE = 0;
  ETH_RX_CNTL = ETH_RX_RESET_FIFO | ETH_RX_DROP_BAD_CRC;
  ETH_TX_CNTL = 0;
  mii_write(MII_CONTROL, MII_CONTROL_RESET);
  for (patience = PATIENCE; (mii_read(MII_CONTROL) & MII_CONTROL_RESET) != 0 && patience > 0; patience--) {
  }
  mii_write(MII_ADVERTISE, MII_ADVERTISE_ALL);
  uint16_t control = (uint16_t)(mii_read(MII_CONTROL) & ~MII_CONTROL_ISOLATE);
  mii_write(MII_CONTROL, (uint16_t)(control | MII_CONTROL_NEGOTIATE | MII_CONTROL_NEGOTIATE_AGAIN));
  ETH_TX_CNTL = ETH_TX_ENABLE | ETH_TX_PAD | ETH_TX_CRC | ETH_TX_FULL_DUPLEX;
  ETH_RX_CNTL = ETH_RX_ENABLE | ETH_RX_DROP_BAD_CRC;
}

bool ft900_ethernet_link_up(void) { return (ETHPHY_MISC & ETHPHY_MISC_LINK) != 0; }

void ft900_ethernet_set_mac(const uint8_t mac[POSTERN_MAC_LENGTH]) {
  for (uint32_t i = 0; i < POSTERN_MAC_LENGTH; i++) ETH_ADDR(i) = mac[i];
}

/*
 * The FIFO is read in words: a halfword with the length, then the frame, so that the frame is shifted by two bytes
 * against the words. All of it must be read, also what is not wanted.
 */
size_t ft900_ethernet_receive(uint8_t *frame, size_t size) {
  if (ETH_NUM_PKT == 0) return 0;
  uint32_t word = ETH_DATA;
  size_t total = word & 0xffffu;
  size_t length = total >= RX_LENGTH_FIELD + RX_CHECKSUM ? total - RX_LENGTH_FIELD - RX_CHECKSUM : 0;
  bool wanted = length > 0 && length <= size;
  size_t at = 0;
  size_t byte = RX_LENGTH_FIELD;
  word >>= 16;
  for (size_t left = total > RX_LENGTH_FIELD ? total - RX_LENGTH_FIELD : 0; left > 0; left--) {
    if (wanted && at < length) frame[at++] = (uint8_t)word;
    word >>= 8;
    if (++byte == 4u && left > 1u) {
      word = ETH_DATA;
      byte = 0;
    }
  }
  return wanted ? length : 0;
}

bool ft900_ethernet_transmit(const uint8_t *frame, size_t length) {
  uint32_t patience = PATIENCE;
  if (length < TX_HEADER) return false;
  while ((ETH_TR_REQ & ETH_TR_SEND) != 0)
    if (patience-- == 0) return false;
  uint32_t word = (uint32_t)(length - TX_HEADER) & 0xffffu;
  unsigned shift = 16;
  for (size_t i = 0; i < length; i++) {
    word |= (uint32_t)frame[i] << shift;
    shift += 8u;
    if (shift == 32u) {
      ETH_DATA = word;
      word = 0;
      shift = 0;
    }
  }
  if (shift != 0) ETH_DATA = word;
  ETH_TR_REQ = ETH_TR_SEND;
  return true;
}
