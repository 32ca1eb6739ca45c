/*
 * tap.h: the smallest harness that speaks the Test Anything Protocol, for tests of plain C.
 *
 *	int main(void)
 *	{
 *		ok(parse("x") == 0, "parses %s", "x");
 *		is_int(count, 3, "three of them");
 *		is_str(name, "abc", "its name");
 *		return done_testing();
 *	}
 *
 * Each check prints "ok" or "not ok" with file, line and both values, and returns whether it held, so that a test can
 * say more with diag().  done_testing() prints the plan and returns main's exit code: 1 if any check failed or there
 * was none.  One thread only; one test program is one translation unit with main.
 */
#ifndef JOBSCHED_TAP_H
#define JOBSCHED_TAP_H

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

static int tap_count, tap_failed;

/* A comment line in the output. */
__attribute__((format(printf, 1, 2), unused)) static void
diag(const char *fmt, ...)
{
	va_list ap;

	printf("# ");
	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
	putchar('\n');
	fflush(stdout);
}

__attribute__((format(printf, 4, 5), unused)) static bool
tap_report(bool held, const char *file, int line, const char *fmt, ...)
{
	va_list ap;

	printf("%s %d - ", held ? "ok" : "not ok", ++tap_count);
	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
	putchar('\n');
	if (!held) {
		tap_failed++;
		diag("failed at %s:%d", file, line);
	}
	fflush(stdout); /* what was checked is seen even when the next step crashes */
	return held;
}

static inline bool
tap_same(const char *a, const char *b)
{
	return a == NULL || b == NULL ? a == b : strcmp(a, b) == 0;
}

static inline bool
tap_int(long long got, long long want, bool held)
{
	if (!held)
		diag("got %lld, want %lld", got, want);
	return held;
}

static inline bool
tap_str(const char *got, const char *want, bool held)
{
	if (!held)
		diag("got \"%s\", want \"%s\"", got ? got : "(null)", want ? want : "(null)");
	return held;
}

/* ok(condition, format, ...) */
#define ok(cond, ...) tap_report((cond), __FILE__, __LINE__, __VA_ARGS__)

/* is_int(got, want, format, ...): any integer type that fits long long; both are evaluated once. */
#define is_int(got, want, ...)                                                                                \
	__extension__({                                                                                       \
		long long tap_got = (long long) (got), tap_want = (long long) (want);                         \
		tap_int(tap_got, tap_want, tap_report(tap_got == tap_want, __FILE__, __LINE__, __VA_ARGS__)); \
	})

/* is_str(got, want, format, ...): either may be NULL. */
#define is_str(got, want, ...)                                                                                        \
	__extension__({                                                                                               \
		const char *tap_got = (got), *tap_want = (want);                                                      \
		tap_str(tap_got, tap_want, tap_report(tap_same(tap_got, tap_want), __FILE__, __LINE__, __VA_ARGS__)); \
	})

/* pass and skip a group that cannot run here, with the reason */
#define skip(...)                                     \
	do {                                          \
		printf("ok %d # SKIP ", ++tap_count); \
		printf(__VA_ARGS__);                  \
		putchar('\n');                        \
		fflush(stdout);                       \
	} while (0)

__attribute__((unused)) static int
done_testing(void)
{
	printf("1..%d\n", tap_count);
	if (tap_failed)
		diag("%d of %d failed", tap_failed, tap_count);
	fflush(stdout);
	return tap_failed || !tap_count ? 1 : 0;
}

#endif
