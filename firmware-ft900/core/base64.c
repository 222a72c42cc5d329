#include "core/base64.h"

static int value_of(char c) {
  if (c >= 'A' && c <= 'Z') return c - 'A';
  if (c >= 'a' && c <= 'z') return c - 'a' + 26;
  if (c >= '0' && c <= '9') return c - '0' + 52;
  if (c == '+') return 62;
  if (c == '/') return 63;
  return -1;
}

bool pt_base64_length(const char *text, size_t length, size_t *decoded) {
  size_t padding = 0;
  if (length % 4u != 0) return false;
  if (length > 0 && text[length - 1] == '=') padding = text[length - 2] == '=' ? 2 : 1;
  for (size_t i = 0; i < length - padding; i++)
    if (value_of(text[i]) < 0) return false;
  *decoded = length / 4u * 3u - padding;
  return true;
}

size_t pt_base64_group(const char text[4], uint8_t bytes[3]) {
  uint32_t bits = 0;
  for (int i = 0; i < 4; i++) {
    int value = value_of(text[i]);
    bits = (bits << 6) | (value < 0 ? 0u : (uint32_t)value);
  }
  bytes[0] = (uint8_t)(bits >> 16);
  bytes[1] = (uint8_t)(bits >> 8);
  bytes[2] = (uint8_t)bits;
  if (text[2] == '=') return 1;
  return text[3] == '=' ? 2 : 3;
}
