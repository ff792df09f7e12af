/* Shows another time of day than the machine's to the process that it is loaded into: as much later
 * as the eight bytes of CHAOS_CLOCK_FILE say, in nanoseconds, at any moment. Time that only passes
 * (CLOCK_MONOTONIC) is left alone. Asks the kernel itself, so that nothing here allocates: a time
 * that an allocator asks for is right as well. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static volatile const int64_t *later;

__attribute__((constructor)) static void begin(void) {
    const char *path = getenv("CHAOS_CLOCK_FILE");
    int file = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    if (file < 0)
        return;
    void *map = mmap(NULL, sizeof *later, PROT_READ, MAP_SHARED, file, 0);
    if (map != MAP_FAILED)
        later = map;
    close(file);
}

int clock_gettime(clockid_t clock, struct timespec *to) {
    long failed = syscall(SYS_clock_gettime, clock, to);
    if (failed == 0 && later && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE)) {
        int64_t by = *later, ns = to->tv_nsec + by % 1000000000;
        to->tv_sec += by / 1000000000 + (ns >= 1000000000) - (ns < 0);
        to->tv_nsec = (ns + 1000000000) % 1000000000;
    }
    return (int)failed;
}

int gettimeofday(struct timeval *to, void *zone) {
    (void)zone;
    struct timespec now;
    int failed = clock_gettime(CLOCK_REALTIME, &now);
    to->tv_sec = now.tv_sec;
    to->tv_usec = now.tv_nsec / 1000;
    return failed;
}

time_t time(time_t *to) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    if (to)
        *to = now.tv_sec;
    return now.tv_sec;
}
