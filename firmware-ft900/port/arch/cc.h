/* What lwIP wants to know of the compiler and the machine. */
#ifndef POSTERN_ARCH_CC_H
#define POSTERN_ARCH_CC_H

#include <stdint.h>

#define LWIP_PLATFORM_DIAG(x) do { } while (0)
void pt_port_assert(const char *message, int line);
#define LWIP_PLATFORM_ASSERT(x) pt_port_assert(x, __LINE__)

uint32_t pt_port_random(void);
#define LWIP_RAND() pt_port_random()

#ifndef BYTE_ORDER
#define BYTE_ORDER LITTLE_ENDIAN
#endif

#endif
