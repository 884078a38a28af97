/* What a C peer measures and prints: the same, in the same order, as ../spawn/measure.rs does for Rust. */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum work { NOTHING = 'n', BYTE = 'b' };

struct worker {
    int socket;
    pid_t child; /* to be waited for; 0 if someone else does */
};

typedef struct worker start_fn(enum work work);

enum { IN_FLIGHT = 16, PAUSE_US = 2000, SAMPLES = 64, SAMPLES_MAX = 1 << 16, LEAST = 3 };

static void fail(const char *what) {
    perror(what);
    exit(1);
}

static double now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec + time.tv_nsec * 1e-9;
}

/* The app's data: allocated and touched after its template was forked. */
static void grow(size_t mb) {
    char *data = calloc(mb, 1 << 20);
    if (data == NULL) fail("calloc");
    for (size_t at = 0; at < mb << 20; at += 4096) ((volatile char *)data)[at] = 1;
}

static int ascending(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void print_percentiles(const char *metric, double *seconds, size_t count) {
    qsort(seconds, count, sizeof *seconds, ascending);
    printf("%s_p50 %.3f\n", metric, seconds[count / 2] * 1e6);
    printf("%s_p99 %.3f\n", metric, seconds[count * 99 / 100] * 1e6);
}

static void read_byte(struct worker worker) {
    char byte;
    if (read(worker.socket, &byte, 1) != 1) fail("read a worker's byte");
}

static void end(struct worker worker) {
    char byte;
    if (read(worker.socket, &byte, 1) != 0) fail("read a worker's end");
    close(worker.socket);
    if (worker.child > 0) waitpid(worker.child, NULL, 0);
}

static void one_at_a_time(start_fn *start, double window) {
    static double held[SAMPLES_MAX];
    size_t count = 0;
    double begin = now();
    while ((now() - begin < window || count < LEAST) && count < SAMPLES_MAX) {
        double before = now();
        struct worker worker = start(NOTHING);
        held[count++] = now() - before;
        end(worker);
    }
    printf("rate %.3f\n", count / (now() - begin));
    print_percentiles("held", held, count);
}

static void pipelined(start_fn *start, double window) {
    struct worker workers[IN_FLIGHT];
    size_t started = 0, ended = 0;
    double begin = now();
    while (now() - begin < window || ended < LEAST) {
        while (started - ended < IN_FLIGHT) workers[started++ % IN_FLIGHT] = start(NOTHING);
        end(workers[ended++ % IN_FLIGHT]);
    }
    printf("rate_pipelined %.3f\n", ended / (now() - begin));
    while (ended < started) end(workers[ended++ % IN_FLIGHT]);
}

static void first_byte(start_fn *start, double window) {
    static double waited[SAMPLES];
    size_t count = 0;
    double begin = now();
    while (count < SAMPLES && (count < LEAST || now() - begin < 10 * window)) {
        usleep(PAUSE_US);
        double before = now();
        struct worker worker = start(BYTE);
        read_byte(worker);
        waited[count++] = now() - before;
        end(worker);
    }
    print_percentiles("first_byte", waited, count);
}

static void measure(start_fn *start, double window) {
    for (int n = 0; n < LEAST; n++) end(start(NOTHING));
    one_at_a_time(start, window);
    pipelined(start, window);
    first_byte(start, window);
}
