/** Where things lie in the 256 KB of flash, of which program memory is a copy made at reset; docs/memory-map.md. */
#ifndef POSTERN_FT900_MEMORY_H
#define POSTERN_FT900_MEMORY_H

#define FT900_STATE_B 0x3b000u
#define FT900_STATE_A 0x3c000u
#define FT900_CONFIG 0x3d000u

#endif
