#include "core/text.h"

#include <string.h>

void pt_text_init(struct pt_text *text, char *data, size_t size) {
  text->data = data;
  text->size = size;
  text->length = 0;
  text->overflow = false;
  data[0] = '\0';
}

void pt_text_bytes(struct pt_text *text, const char *data, size_t length) {
  if (text->overflow || length >= text->size - text->length) {
    text->overflow = true;
    return;
  }
  memcpy(text->data + text->length, data, length);
  text->length += length;
  text->data[text->length] = '\0';
}

void pt_text_string(struct pt_text *text, const char *string) { pt_text_bytes(text, string, strlen(string)); }

void pt_text_char(struct pt_text *text, char c) { pt_text_bytes(text, &c, 1); }

void pt_text_u32(struct pt_text *text, uint32_t value) {
  char digits[10];
  size_t at = sizeof digits;
  do {
    digits[--at] = (char)('0' + (value % 10u));
    value /= 10u;
  } while (value != 0);
  pt_text_bytes(text, digits + at, sizeof digits - at);
}

void pt_text_hex_byte(struct pt_text *text, uint8_t value) {
  static const char hex[] = "0123456789abcdef";
  char digits[2];
  digits[0] = hex[value >> 4];
  digits[1] = hex[value & 15u];
  pt_text_bytes(text, digits, sizeof digits);
}

void pt_text_json_string(struct pt_text *text, const char *string) {
  pt_text_char(text, '"');
  for (; *string != '\0'; string++) {
    unsigned char c = (unsigned char)*string;
    if (c == '"' || c == '\\') {
      pt_text_char(text, '\\');
      pt_text_char(text, (char)c);
    } else if (c < 0x20u) {
      pt_text_string(text, "\\u00");
      pt_text_hex_byte(text, c);
    } else {
      pt_text_char(text, (char)c);
    }
  }
  pt_text_char(text, '"');
}
