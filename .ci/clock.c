/* A library for LD_PRELOAD: shows a program another time of day than the machine's, CLOCK_OFFSET seconds later.
 *
 * Nothing else changes: no other clock, no file's times, no wait. libfaketime changes waits and opens files as well, which
 * makes Python's threads several times slower, and fails where a program has closed its standard streams.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdlib.h>
#include <sys/time.h>
#include <time.h>

#define SECOND 1000000000LL

static int (*real)(clockid_t, struct timespec *);
static long long offset; /* in nanoseconds */

/* Read CLOCK_OFFSET again: for a process that has changed it in its own environment. */
__attribute__((constructor)) void read_clock_offset(void) {
    const char *text = getenv("CLOCK_OFFSET");
    real = (int (*)(clockid_t, struct timespec *))dlsym(RTLD_NEXT, "clock_gettime");
    offset = text ? (long long)(strtod(text, NULL) * SECOND) : 0;
}

int clock_gettime(clockid_t clock, struct timespec *now) {
    if (!real) /* another library's constructor asks first */
        read_clock_offset();
    int failed = real(clock, now);
    if (!failed && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE)) {
        long long all = now->tv_sec * SECOND + now->tv_nsec + offset;
        now->tv_sec = all / SECOND;
        now->tv_nsec = all % SECOND;
    }
    return failed;
}

int gettimeofday(struct timeval *restrict now, void *restrict zone) {
    struct timespec precise;
    (void)zone;
    clock_gettime(CLOCK_REALTIME, &precise);
    now->tv_sec = precise.tv_sec;
    now->tv_usec = precise.tv_nsec / 1000;
    return 0;
}

int timespec_get(struct timespec *now, int base) {
    return base == TIME_UTC && !clock_gettime(CLOCK_REALTIME, now) ? base : 0;
}

time_t time(time_t *now) {
    struct timespec precise;
    clock_gettime(CLOCK_REALTIME, &precise);
    if (now)
        *now = precise.tv_sec;
    return precise.tv_sec;
}
