/**
 * Registers of the FT900 (revision C) that this firmware uses, as facts: address, width, bits. Peripherals lie in
 * data memory from 0x10000; all are reached by their own width.
 */
#ifndef POSTERN_FT900_REGISTERS_H
#define POSTERN_FT900_REGISTERS_H

#include <stdint.h>

#define FT900_REG8(address) (*(volatile uint8_t *)(address))
#define FT900_REG16(address) (*(volatile uint16_t *)(address))
#define FT900_REG32(address) (*(volatile uint32_t *)(address))

/** System clock after reset, which is also that of the peripherals. */
#define FT900_CLOCK_HZ 100000000u

/* System */
#define SYS_CLKCFG FT900_REG32(0x10008u)
#define SYS_CLKCFG_UART0 (1u << 4)
#define SYS_CLKCFG_UART1 (1u << 5)
#define SYS_CLKCFG_ETHERNET (1u << 13)
#define SYS_CLKCFG_TIMER (1u << 16)
#define SYS_MSC0CFG FT900_REG32(0x10018u)
#define SYS_MSC0CFG_PHY_RESET (1u << 8)

/* Pads and GPIO: one configuration byte for each pad, four direction bits for each pin, one bit for each level. */
#define PAD_CFG(pin) FT900_REG8(0x1001cu + (pin))
#define PAD_CFG_FUNCTION_SHIFT 6u
#define PAD_CFG_FUNCTION_MASK (3u << PAD_CFG_FUNCTION_SHIFT)
#define GPIO_CFG(pin) FT900_REG32(0x10060u + (pin) / 8u * 4u)
#define GPIO_CFG_SHIFT(pin) ((pin) % 8u * 4u)
#define GPIO_CFG_DIRECTION_MASK (3u << 2)
#define GPIO_CFG_OUTPUT (1u << 2)
#define GPIO_VALUE(pin) FT900_REG32(0x10084u + (pin) / 32u * 4u)

/* Ethernet PHY and MAC */
#define ETHPHY_MISC FT900_REG32(0x100a8u)
#define ETHPHY_MISC_ADDRESS_MASK 0x1fu
#define ETHPHY_MISC_LINK (1u << 31)
#define ETHPHY_ADDRESS 0x17u
#define ETH_INT_STATUS FT900_REG8(0x10220u)
#define ETH_INT_MII (1u << 5)
#define ETH_INT_ENABLE FT900_REG8(0x10221u)
#define ETH_RX_CNTL FT900_REG8(0x10222u)
#define ETH_RX_ENABLE (1u << 0)
#define ETH_RX_DROP_BAD_CRC (1u << 3)
#define ETH_RX_RESET_FIFO (1u << 4)
#define ETH_TX_CNTL FT900_REG8(0x10223u)
#define ETH_TX_ENABLE (1u << 0)
#define ETH_TX_PAD (1u << 1)
#define ETH_TX_CRC (1u << 2)
#define ETH_TX_FULL_DUPLEX (1u << 4)
#define ETH_DATA FT900_REG32(0x10224u)
#define ETH_ADDR(octet) FT900_REG8(0x10228u + (octet))
#define ETH_MNG_CNTL FT900_REG8(0x1022fu)
#define ETH_MNG_START (1u << 0)
#define ETH_MNG_WRITE (1u << 1)
#define ETH_MNG_REGISTER_SHIFT 3u
#define ETH_MNG_DIV FT900_REG8(0x10230u)
#define ETH_MNG_ADDR FT900_REG8(0x10231u)
#define ETH_MNG_TX0 FT900_REG16(0x10232u)
#define ETH_MNG_RX0 FT900_REG16(0x10234u)
#define ETH_NUM_PKT FT900_REG8(0x10236u)
#define ETH_TR_REQ FT900_REG8(0x10237u)
#define ETH_TR_SEND (1u << 0)

/* UARTs: like a 16C950; the index registers are written through ICR with their number in SPR. */
#define UART0_BASE 0x10320u
#define UART1_BASE 0x10330u
#define UART_THR(base) FT900_REG8((base) + 0u)
#define UART_DLL(base) FT900_REG8((base) + 0u)
#define UART_DLM(base) FT900_REG8((base) + 1u)
#define UART_LCR(base) FT900_REG8((base) + 3u)
#define UART_LCR_8N1 0x03u
#define UART_LCR_DLAB 0x80u
#define UART_MCR(base) FT900_REG8((base) + 4u)
#define UART_MCR_RTS 0x02u
#define UART_LSR(base) FT900_REG8((base) + 5u)
#define UART_LSR_THRE (1u << 5)
#define UART_ICR(base) FT900_REG8((base) + 5u)
#define UART_SPR(base) FT900_REG8((base) + 7u)
#define UART_INDEX_CPR 1u
#define UART_INDEX_TCR 2u

/* Timers A to D, 16 bits, and the watchdog. */
#define TIMER_CONTROL_0 FT900_REG8(0x10340u)
#define TIMER_CONTROL_0_ENABLE (1u << 1)
#define TIMER_CONTROL_1 FT900_REG8(0x10341u)
#define TIMER_CONTROL_1_START(timer) (1u << (timer))
#define TIMER_CONTROL_2 FT900_REG8(0x10342u)
#define TIMER_CONTROL_2_WDT_START (1u << 0)
#define TIMER_CONTROL_2_WDT_CLEAR (1u << 1)
#define TIMER_CONTROL_2_WDT_INT_ENABLE (1u << 3)
#define TIMER_CONTROL_2_PRESCALE(timer) (1u << ((timer) + 4u))
#define TIMER_CONTROL_3 FT900_REG8(0x10343u)
#define TIMER_CONTROL_3_UP(timer) (1u << ((timer) + 4u))
#define TIMER_CONTROL_4 FT900_REG8(0x10344u)
#define TIMER_CONTROL_4_CLEAR(timer) (1u << (timer))
#define TIMER_CONTROL_4_PRESCALE_CLEAR(timer) (1u << ((timer) + 4u))
#define TIMER_SELECT FT900_REG8(0x10346u)
#define TIMER_SELECT_WRITE(timer) (timer)
#define TIMER_SELECT_READ(timer) ((timer) << 2)
#define TIMER_WDG FT900_REG8(0x10347u)
#define TIMER_WRITE_LS FT900_REG8(0x10348u)
#define TIMER_WRITE_MS FT900_REG8(0x10349u)
#define TIMER_PRESC_LS FT900_REG8(0x1034au)
#define TIMER_PRESC_MS FT900_REG8(0x1034bu)
#define TIMER_READ_LS FT900_REG8(0x1034cu)
#define TIMER_READ_MS FT900_REG8(0x1034du)
#define TIMER_A 0u
#define TIMER_B 1u

/* Flash controller: moves blocks between the serial flash and data memory. */
#define FLASH_RSADDR(octet) FT900_REG8(0x10800u + (octet))
#define FLASH_FSADDR(octet) FT900_REG8(0x10803u + (octet))
#define FLASH_BLENGTH(octet) FT900_REG8(0x10806u + (octet))
#define FLASH_COMMAND FT900_REG8(0x10809u)
#define FLASH_COMMAND_WRITE_ENABLE 0x06u
#define FLASH_COMMAND_SECTOR_ERASE 0x20u
#define FLASH_COMMAND_FROM_DATA 0xf8u
#define FLASH_COMMAND_TO_DATA 0xfcu
#define FLASH_COMMAND_TO_DATA_REBOOT 0xfeu
#define FLASH_SEMAPHORE FT900_REG8(0x1080bu)
#define FLASH_STATUS FT900_REG8(0x1080du)
#define FLASH_STATUS_BUSY (1u << 6)
#define FLASH_PAGE 256u
#define FLASH_SECTOR 4096u

/* Real-time clock of revision C, in BCD: seconds, minutes, hours; weekday 1-7, day, month, year of the century. */
#define RTC_TIME FT900_REG32(0x10900u)
#define RTC_DATE FT900_REG32(0x10904u)
#define RTC_CTRL FT900_REG32(0x10910u)
#define RTC_CTRL_ENABLE (1u << 0)
#define RTC_CTRL_AUTO_REFRESH (1u << 7)
#define RTC_CTRL_WRITE_START (1u << 9)

#endif
