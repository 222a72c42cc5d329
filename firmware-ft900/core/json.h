/**
 * A bounded JSON reader (RFC 8259) for requests: one object, its own fields as slices of the input, nothing
 * copied, nothing allocated. What is nested in a field is checked and skipped.
 */
#ifndef POSTERN_JSON_H
#define POSTERN_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/** Fields that a request may have. The wire contract needs 4; the rest is room for what may come. */
#define PT_JSON_FIELDS_MAX 16u
/** How deep objects and arrays may nest. Bounds the reader's stack. */
#define PT_JSON_DEPTH_MAX 8u

enum pt_json_type { PT_JSON_NULL, PT_JSON_FALSE, PT_JSON_TRUE, PT_JSON_NUMBER, PT_JSON_STRING, PT_JSON_OBJECT, PT_JSON_ARRAY };

/** A part of the input. A string's slice holds its quotes. */
struct pt_json_slice {
  const char *data;
  size_t length;
};

struct pt_json_field {
  struct pt_json_slice name; /**< with its quotes, escapes as they came */
  struct pt_json_slice value;
  enum pt_json_type type;
};

struct pt_json_object {
  struct pt_json_field fields[PT_JSON_FIELDS_MAX];
  size_t count;
};

enum pt_json_status {
  PT_JSON_OK,
  PT_JSON_SYNTAX,     /**< not JSON, or not UTF-8 */
  PT_JSON_NOT_OBJECT, /**< JSON, but no object */
  PT_JSON_TOO_MANY,   /**< more than PT_JSON_FIELDS_MAX fields */
  PT_JSON_TOO_DEEP,   /**< nested deeper than PT_JSON_DEPTH_MAX */
};

/** Reads all of `data`; `object` is only to be used after PT_JSON_OK and while `data` stays. */
enum pt_json_status pt_json_parse(const char *data, size_t length, struct pt_json_object *object);

/** The field of this name, escapes undone; the last one where there are several (as JSON.parse has it). */
const struct pt_json_field *pt_json_find(const struct pt_json_object *object, const char *name);

/** A whole number of 0 to 2^32-1 without fraction or exponent; false for anything else. */
bool pt_json_u32(const struct pt_json_field *field, uint32_t *value);

/** Reads a string's characters one after the other. */
struct pt_json_reader {
  const char *at;
  const char *end;
};
/** `slice` must be a string that pt_json_parse accepted. */
void pt_json_reader_init(struct pt_json_reader *reader, struct pt_json_slice slice);
/**
 * The next character as UTF-8: its 1 to 4 bytes, 0 at the end, -1 for a lone surrogate (RFC 8259 8.2),
 * which is no character.
 */
int pt_json_reader_next(struct pt_json_reader *reader, uint8_t utf8[4]);

/** The string's text with a NUL after it; false if it has more than size-1 bytes, a NUL, or a lone surrogate. */
bool pt_json_string(const struct pt_json_field *field, char *text, size_t size);

#endif
