/** Base64 with padding (RFC 4648 4), decoded piece by piece. */
#ifndef POSTERN_BASE64_H
#define POSTERN_BASE64_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/** How many bytes `text` holds once decoded; false if it is no base64 with padding. */
bool pt_base64_length(const char *text, size_t length, size_t *decoded);
/** Four characters that pt_base64_length accepted, as 1 to 3 bytes. */
size_t pt_base64_group(const char text[4], uint8_t bytes[3]);

#endif
