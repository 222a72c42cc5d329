#include "core/json.h"

#include <string.h>

struct cursor {
  const char *at;
  const char *end;
};

static void skip_space(struct cursor *c) {
  while (c->at < c->end && (*c->at == ' ' || *c->at == '\t' || *c->at == '\n' || *c->at == '\r')) c->at++;
}

static bool take(struct cursor *c, char wanted) {
  if (c->at >= c->end || *c->at != wanted) return false;
  c->at++;
  return true;
}

static bool is_digit(char c) { return c >= '0' && c <= '9'; }

static int hex_value(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

/** Length of the well-formed UTF-8 sequence at `at` (RFC 3629 4), 0 if there is none. */
static size_t utf8_length(const char *at, const char *end) {
  unsigned char lead = (unsigned char)at[0];
  size_t length;
  unsigned char low = 0x80;
  unsigned char high = 0xbf;
  if (lead < 0x80) return 1;
  if (lead >= 0xc2 && lead <= 0xdf) length = 2;
  else if (lead >= 0xe0 && lead <= 0xef) length = 3;
  else if (lead >= 0xf0 && lead <= 0xf4) length = 4;
  else return 0;
  if (lead == 0xe0) low = 0xa0;
  if (lead == 0xed) high = 0x9f; /* surrogates are no characters */
  if (lead == 0xf0) low = 0x90;
  if (lead == 0xf4) high = 0x8f;
  if ((size_t)(end - at) < length) return 0;
  for (size_t i = 1; i < length; i++) {
    unsigned char next = (unsigned char)at[i];
    if (next < low || next > high) return 0;
    low = 0x80;
    high = 0xbf;
  }
  return length;
}

static bool skip_string(struct cursor *c, struct pt_json_slice *slice) {
  const char *start = c->at;
  if (!take(c, '"')) return false;
  for (;;) {
    if (c->at >= c->end) return false;
    char ch = *c->at;
    if (ch == '"') break;
    if (ch == '\\') {
      c->at++;
      if (c->at >= c->end) return false;
      if (*c->at == 'u') {
        if (c->end - c->at < 5) return false;
        for (int i = 1; i <= 4; i++)
          if (hex_value(c->at[i]) < 0) return false;
        c->at += 5;
      } else if (*c->at != '\0' && strchr("\"\\/bfnrt", *c->at) != NULL) {
        c->at++;
      } else {
        return false;
      }
    } else if ((unsigned char)ch < 0x20) {
      return false;
    } else {
      size_t length = utf8_length(c->at, c->end);
      if (length == 0) return false;
      c->at += length;
    }
  }
  c->at++;
  slice->data = start;
  slice->length = (size_t)(c->at - start);
  return true;
}

static bool skip_digits(struct cursor *c) {
  const char *start = c->at;
  while (c->at < c->end && is_digit(*c->at)) c->at++;
  return c->at > start;
}

static bool skip_number(struct cursor *c) {
  (void)take(c, '-');
  if (!take(c, '0') && !skip_digits(c)) return false;
  if (take(c, '.') && !skip_digits(c)) return false;
  if (c->at < c->end && (*c->at == 'e' || *c->at == 'E')) {
    c->at++;
    if (!take(c, '+')) (void)take(c, '-');
    if (!skip_digits(c)) return false;
  }
  return true;
}

static bool skip_word(struct cursor *c, const char *word) {
  size_t length = strlen(word);
  if ((size_t)(c->end - c->at) < length || memcmp(c->at, word, length) != 0) return false;
  c->at += length;
  return true;
}

/** A value that is neither object nor array; false if it is none. */
static bool skip_scalar(struct cursor *c, enum pt_json_type *type) {
  struct pt_json_slice ignored;
  if (c->at >= c->end) return false;
  switch (*c->at) {
    case '"': *type = PT_JSON_STRING; return skip_string(c, &ignored);
    case 't': *type = PT_JSON_TRUE; return skip_word(c, "true");
    case 'f': *type = PT_JSON_FALSE; return skip_word(c, "false");
    case 'n': *type = PT_JSON_NULL; return skip_word(c, "null");
    default: *type = PT_JSON_NUMBER; return skip_number(c);
  }
}

/** Skips an object or array without recursion: a bit for each open level says which of the two it is. */
static enum pt_json_status skip_container(struct cursor *c, unsigned outer_depth) {
  uint32_t is_object = 0;
  unsigned depth = 0;
  bool want_value = true; /* else: a comma or the end of the innermost container */
  bool may_close = false; /* directly behind the opening bracket */
  struct pt_json_slice name;
  enum pt_json_type type;
  for (;;) {
    skip_space(c);
    if (c->at >= c->end) return PT_JSON_SYNTAX;
    if (want_value && (*c->at == '{' || *c->at == '[')) {
      if (outer_depth + depth >= PT_JSON_DEPTH_MAX) return PT_JSON_TOO_DEEP;
      is_object = (is_object << 1) | (*c->at == '{' ? 1u : 0u);
      depth++;
      c->at++;
      skip_space(c);
      may_close = true;
    } else if (want_value) {
      if (!skip_scalar(c, &type)) return PT_JSON_SYNTAX;
      want_value = false;
    }
    /* Here either a container was just opened (may_close) or a value was just finished. */
    for (;;) {
      skip_space(c);
      if (c->at >= c->end) return PT_JSON_SYNTAX;
      char closing = (is_object & 1u) != 0 ? '}' : ']';
      if (*c->at == closing) {
        c->at++;
        depth--;
        is_object >>= 1;
        may_close = false;
        want_value = false;
        if (depth == 0) return PT_JSON_OK;
        continue;
      }
      if (!may_close && !take(c, ',')) return PT_JSON_SYNTAX;
      may_close = false;
      if ((is_object & 1u) != 0) {
        skip_space(c);
        if (!skip_string(c, &name)) return PT_JSON_SYNTAX;
        skip_space(c);
        if (!take(c, ':')) return PT_JSON_SYNTAX;
      }
      want_value = true;
      break;
    }
  }
}

static enum pt_json_status parse_field(struct cursor *c, struct pt_json_field *field) {
  skip_space(c);
  if (!skip_string(c, &field->name)) return PT_JSON_SYNTAX;
  skip_space(c);
  if (!take(c, ':')) return PT_JSON_SYNTAX;
  skip_space(c);
  if (c->at >= c->end) return PT_JSON_SYNTAX;
  field->value.data = c->at;
  if (*c->at == '{' || *c->at == '[') {
    field->type = *c->at == '{' ? PT_JSON_OBJECT : PT_JSON_ARRAY;
    enum pt_json_status status = skip_container(c, 1);
    if (status != PT_JSON_OK) return status;
  } else if (!skip_scalar(c, &field->type)) {
    return PT_JSON_SYNTAX;
  }
  field->value.length = (size_t)(c->at - field->value.data);
  return PT_JSON_OK;
}

static enum pt_json_status parse_not_object(struct cursor *c) {
  enum pt_json_type type;
  if (c->at < c->end && *c->at == '[') {
    enum pt_json_status status = skip_container(c, 0);
    if (status != PT_JSON_OK) return status;
  } else if (!skip_scalar(c, &type)) {
    return PT_JSON_SYNTAX;
  }
  skip_space(c);
  return c->at == c->end ? PT_JSON_NOT_OBJECT : PT_JSON_SYNTAX;
}

enum pt_json_status pt_json_parse(const char *data, size_t length, struct pt_json_object *object) {
  struct cursor c = {data, data + length};
  object->count = 0;
  skip_space(&c);
  if (!take(&c, '{')) return parse_not_object(&c);
  skip_space(&c);
  if (!take(&c, '}')) {
    do {
      if (object->count == PT_JSON_FIELDS_MAX) return PT_JSON_TOO_MANY;
      enum pt_json_status status = parse_field(&c, &object->fields[object->count]);
      if (status != PT_JSON_OK) return status;
      object->count++;
      skip_space(&c);
    } while (take(&c, ','));
    if (!take(&c, '}')) return PT_JSON_SYNTAX;
  }
  skip_space(&c);
  return c.at == c.end ? PT_JSON_OK : PT_JSON_SYNTAX;
}

void pt_json_reader_init(struct pt_json_reader *reader, struct pt_json_slice slice) {
  reader->at = slice.data + 1;
  reader->end = slice.data + slice.length - 1;
}

static uint32_t read_hex4(const char *at) {
  uint32_t value = 0;
  for (int i = 0; i < 4; i++) value = (value << 4) | ((uint32_t)hex_value(at[i]) & 15u);
  return value;
}

static int encode_utf8(uint32_t point, uint8_t utf8[4]) {
  if (point < 0x80u) {
    utf8[0] = (uint8_t)point;
    return 1;
  }
  if (point < 0x800u) {
    utf8[0] = (uint8_t)(0xc0u | (point >> 6));
    utf8[1] = (uint8_t)(0x80u | (point & 0x3fu));
    return 2;
  }
  if (point < 0x10000u) {
    utf8[0] = (uint8_t)(0xe0u | (point >> 12));
    utf8[1] = (uint8_t)(0x80u | ((point >> 6) & 0x3fu));
    utf8[2] = (uint8_t)(0x80u | (point & 0x3fu));
    return 3;
  }
  utf8[0] = (uint8_t)(0xf0u | (point >> 18));
  utf8[1] = (uint8_t)(0x80u | ((point >> 12) & 0x3fu));
  utf8[2] = (uint8_t)(0x80u | ((point >> 6) & 0x3fu));
  utf8[3] = (uint8_t)(0x80u | (point & 0x3fu));
  return 4;
}

static int read_escape(struct pt_json_reader *reader, uint8_t utf8[4]) {
  static const char from[] = "\"\\/bfnrt";
  static const char to[] = "\"\\/\b\f\n\r\t";
  char kind = *reader->at++;
  if (kind != 'u') {
    const char *found = strchr(from, kind);
    utf8[0] = (uint8_t)to[found - from];
    return 1;
  }
  uint32_t point = read_hex4(reader->at);
  reader->at += 4;
  if (point >= 0xdc00u && point <= 0xdfffu) return -1;
  if (point >= 0xd800u && point <= 0xdbffu) {
    if (reader->end - reader->at < 6 || reader->at[0] != '\\' || reader->at[1] != 'u') return -1;
    uint32_t low = read_hex4(reader->at + 2);
    if (low < 0xdc00u || low > 0xdfffu) return -1;
    reader->at += 6;
    point = 0x10000u + ((point - 0xd800u) << 10) + (low - 0xdc00u);
  }
  return encode_utf8(point, utf8);
}

int pt_json_reader_next(struct pt_json_reader *reader, uint8_t utf8[4]) {
  if (reader->at >= reader->end) return 0;
  if (*reader->at == '\\') {
    reader->at++;
    return read_escape(reader, utf8);
  }
  size_t length = utf8_length(reader->at, reader->end);
  if (length == 0) return -1;
  memcpy(utf8, reader->at, length);
  reader->at += length;
  return (int)length;
}

static bool slice_equals(struct pt_json_slice slice, const char *text) {
  struct pt_json_reader reader;
  uint8_t utf8[4];
  int length;
  pt_json_reader_init(&reader, slice);
  while ((length = pt_json_reader_next(&reader, utf8)) > 0) {
    for (int i = 0; i < length; i++, text++)
      if (*text == '\0' || (uint8_t)*text != utf8[i]) return false;
  }
  return length == 0 && *text == '\0';
}

const struct pt_json_field *pt_json_find(const struct pt_json_object *object, const char *name) {
  for (size_t i = object->count; i > 0; i--)
    if (slice_equals(object->fields[i - 1].name, name)) return &object->fields[i - 1];
  return NULL;
}

bool pt_json_u32(const struct pt_json_field *field, uint32_t *value) {
  uint32_t result = 0;
  if (field->type != PT_JSON_NUMBER) return false;
  for (size_t i = 0; i < field->value.length; i++) {
    char c = field->value.data[i];
    if (!is_digit(c)) return false;
    uint32_t digit = (uint32_t)(c - '0');
    if (result > (UINT32_MAX - digit) / 10u) return false;
    result = result * 10u + digit;
  }
  *value = result;
  return true;
}

bool pt_json_string(const struct pt_json_field *field, char *text, size_t size) {
  struct pt_json_reader reader;
  uint8_t utf8[4];
  size_t used = 0;
  int length;
  if (field->type != PT_JSON_STRING) return false;
  pt_json_reader_init(&reader, field->value);
  while ((length = pt_json_reader_next(&reader, utf8)) > 0) {
    if ((length == 1 && utf8[0] == 0) || used + (size_t)length >= size) return false;
    memcpy(text + used, utf8, (size_t)length);
    used += (size_t)length;
  }
  text[used] = '\0';
  return length == 0;
}
