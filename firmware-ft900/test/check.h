/**
 * A test harness of a page, because the same tests run on the host and inside the FT900 simulator, where there is
 * neither cmocka nor a file system. A failed check says where, counts, and the test goes on.
 */
#ifndef POSTERN_CHECK_H
#define POSTERN_CHECK_H

#include <stdbool.h>
#include <stddef.h>

extern unsigned check_count;
extern unsigned check_failures;

void check_at(bool good, const char *what, const char *file, int line);
void check_print(const char *text);
void check_number(unsigned long number);

#define CHECK(condition) check_at((condition), #condition, __FILE__, __LINE__)

/** Each file of tests ends in one of these, called by main. */
void test_text(void);
void test_json(void);
void test_base64(void);
void test_crc32(void);
void test_calendar(void);
void test_config(void);
void test_state(void);
void test_outq(void);
void test_backoff(void);
void test_methods(void);
void test_protocol(void);
void test_session(void);
void test_vectors(void);

#endif
