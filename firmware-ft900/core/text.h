/** Building text in a buffer of the caller's, never past its end. */
#ifndef POSTERN_TEXT_H
#define POSTERN_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/** A text under construction. Once something did not fit, `overflow` stays true and nothing more is added. */
struct pt_text {
  char *data;
  size_t size; /**< of `data`, in bytes; one is kept for the final NUL */
  size_t length;
  bool overflow;
};

/** `size` must be at least 1. */
void pt_text_init(struct pt_text *text, char *data, size_t size);
void pt_text_bytes(struct pt_text *text, const char *data, size_t length);
void pt_text_string(struct pt_text *text, const char *string);
void pt_text_char(struct pt_text *text, char c);
void pt_text_u32(struct pt_text *text, uint32_t value);
void pt_text_hex_byte(struct pt_text *text, uint8_t value);
/** A JSON string with its quotes (RFC 8259 7); the input is ASCII or UTF-8 of our own. */
void pt_text_json_string(struct pt_text *text, const char *string);

#endif
