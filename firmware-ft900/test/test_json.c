#include <string.h>

#include "check.h"
#include "core/json.h"

static struct pt_json_object object;

/* In memory of exactly its length, so that ASan sees a read behind it. */
static enum pt_json_status parse(const char *text) { return pt_json_parse(text, strlen(text), &object); }

static void test_parse_accepts(void) {
  static const char *const good[] = {
      "{}", " \t\r\n{ } ", "{\"a\":1}", "{\"a\":-0.5e+10,\"b\":0}", "{\"a\":[],\"b\":{}}",
      "{\"a\":[1,[2,{\"x\":[true,false,null]}],\"s\"]}", "{\"\\u0061\":\"\\ud83d\\ude00\"}", "{\"a\":\"\xc3\xa4\xf0\x9f\x98\x80\"}",
      "{\"a\":[[[[[[[1]]]]]]]}",
  };
  for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) CHECK(parse(good[i]) == PT_JSON_OK);
}

static void test_parse_refuses(void) {
  static const char *const bad[] = {
      "", " ", "{", "}", "{\"a\"}", "{\"a\":}", "{\"a\":1,}", "{,}", "{a:1}", "{'a':1}", "{\"a\":01}", "{\"a\":1.}",
      "{\"a\":.5}", "{\"a\":+1}", "{\"a\":1e}", "{\"a\":tru}", "{\"a\":nul}", "{\"a\":\"\n\"}", "{\"a\":\"\\x\"}",
      "{\"a\":\"\\u12g4\"}", "{\"a\":\"\\u12", "{\"a\":\"x", "{\"a\":[1,]}", "{\"a\":[,1]}", "{\"a\":[1 2]}", "{\"a\":{\"b\"}}",
      "{\"a\":[}]}", "{\"a\":[1}", "{} x", "{}{}", "nonsense", "{\"a\":\"\xff\"}", "{\"a\":\"\xc0\x80\"}",
      "{\"a\":\"\xed\xa0\x80\"}", "{\"a\":\"\xf4\x90\x80\x80\"}", "{\"a\":\"\xe2\x82\"}", "{\"a\":- }", "{\"a\":{\"b\":1,}}", "{\"a\":\"\\\"}",
  };
  for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) CHECK(parse(bad[i]) == PT_JSON_SYNTAX);
  static const char *const others[] = {"[]", "1", "\"x\"", "null", "true", " [1,{\"a\":2}] "};
  for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) CHECK(parse(others[i]) == PT_JSON_NOT_OBJECT);
  CHECK(parse("{\"a\":[[[[[[[[1]]]]]]]]}") == PT_JSON_TOO_DEEP);
  CHECK(parse("[[[[[[[[[1]]]]]]]]]") == PT_JSON_TOO_DEEP);
  CHECK(parse("{\"a\":1,\"b\":1,\"c\":1,\"d\":1,\"e\":1,\"f\":1,\"g\":1,\"h\":1,\"i\":1,\"j\":1,\"k\":1,\"l\":1,"
              "\"m\":1,\"n\":1,\"o\":1,\"p\":1,\"q\":1}") == PT_JSON_TOO_MANY);
}

/* Each beginning of a good text is bad, and none is read past its end. */
static void test_parse_cut_short(void) {
  static const char text[] = "{\"a\":[1,\"\\u00e4\\\"\",{\"b\":null}],\"c\":\"\xe2\x82\xac\",\"d\":-1.5e3}";
  for (size_t length = 0; length < sizeof text - 1u; length++)
    CHECK(pt_json_parse(text, length, &object) == PT_JSON_SYNTAX);
  CHECK(pt_json_parse(text, sizeof text - 1u, &object) == PT_JSON_OK);
}

static void test_fields(void) {
  uint32_t number;
  char text[16];
  CHECK(parse("{\"\\u006eumber\":12,\"b\":4294967295,\"c\":4294967296,\"d\":-1,\"e\":1.0,\"s\":\"\\u20ac\\n\",\"n\":7,\"n\":8}") ==
        PT_JSON_OK);
  CHECK(pt_json_u32(pt_json_find(&object, "number"), &number) && number == 12);
  CHECK(pt_json_u32(pt_json_find(&object, "b"), &number) && number == 4294967295u);
  CHECK(!pt_json_u32(pt_json_find(&object, "c"), &number));
  CHECK(!pt_json_u32(pt_json_find(&object, "d"), &number));
  CHECK(!pt_json_u32(pt_json_find(&object, "e"), &number));
  CHECK(pt_json_string(pt_json_find(&object, "s"), text, sizeof text) && strcmp(text, "\xe2\x82\xac\n") == 0);
  CHECK(!pt_json_string(pt_json_find(&object, "s"), text, 4));
  CHECK(!pt_json_string(pt_json_find(&object, "b"), text, sizeof text));
  CHECK(pt_json_u32(pt_json_find(&object, "n"), &number) && number == 8); /* the last one counts */
  CHECK(pt_json_find(&object, "numbe") == NULL && pt_json_find(&object, "numbers") == NULL);
  CHECK(parse("{\"a\":\"\\ud800\",\"b\":\"\\udc00x\",\"c\":\"\\ud800\\u0041\",\"z\":\"\\u0000\"}") == PT_JSON_OK);
  CHECK(!pt_json_string(pt_json_find(&object, "a"), text, sizeof text));
  CHECK(!pt_json_string(pt_json_find(&object, "b"), text, sizeof text));
  CHECK(!pt_json_string(pt_json_find(&object, "c"), text, sizeof text));
  CHECK(!pt_json_string(pt_json_find(&object, "z"), text, sizeof text));
}

void test_json(void) {
  test_parse_accepts();
  test_parse_refuses();
  test_parse_cut_short();
  test_fields();
}
