/* Children on socket pairs, a job at a time each: the least that a pool's jobs can cost.
 *
 * pool QUEUED   prints what ../pool/main.rs prints; jobs are as long as there */
#include "measure.h"
#include <poll.h>
#include <sched.h>

enum { MOST = 64, JOBS = 10000, TIMES = 500, LENGTH_NS = 2000000, MESSAGE = 64 };

static struct pollfd children[MOST];
static char busy[MOST];
static int count;

/* The first octet says how long the job is: 0, or LENGTH_NS. */
static void serve(int socket) {
    char message[MESSAGE];
    while (read(socket, message, MESSAGE) == MESSAGE) {
        double end = now() + (message[0] ? LENGTH_NS * 1e-9 : 0);
        while (message[0] && now() < end) {}
        if (write(socket, message, MESSAGE) != MESSAGE) break;
    }
    _exit(0);
}

static void start(void) {
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof set, &set) < 0) fail("sched_getaffinity");
    count = CPU_COUNT(&set) < MOST ? CPU_COUNT(&set) : MOST;
    for (int n = 0; n < count; n++) {
        int ends[2];
        if (socketpair(AF_UNIX, SOCK_STREAM, 0, ends) < 0) fail("socketpair");
        pid_t child = fork();
        if (child < 0) fail("fork");
        if (child == 0) {
            close(ends[0]);
            for (int other = 0; other < n; other++) close(children[other].fd);
            serve(ends[1]);
        }
        close(ends[1]);
        children[n] = (struct pollfd){ .fd = ends[0], .events = POLLIN };
    }
}

static void give(int child, char kind) {
    char message[MESSAGE] = { kind };
    if (write(children[child].fd, message, MESSAGE) != MESSAGE) fail("write");
    busy[child] = 1;
}

/* Waits until a child is free, or the time comes; gives one that is, or -1. */
static int free_child(const double *until) {
    for (int n = 0; n < count; n++) if (!busy[n]) return n;
    double left = until ? *until - now() : 0;
    struct timespec time = { .tv_nsec = left > 0 ? left * 1e9 : 0 };
    if (ppoll(children, count, until ? &time : NULL, NULL) < 0) fail("ppoll");
    int found = -1;
    for (int n = 0; n < count; n++) {
        char message[MESSAGE];
        if (!(children[n].revents & POLLIN)) continue;
        if (read(children[n].fd, message, MESSAGE) != MESSAGE) fail("read");
        busy[n] = 0;
        found = n;
    }
    return found;
}

static void drain(void) {
    for (int n = 0; n < count; n++) {
        char message[MESSAGE];
        if (busy[n] && read(children[n].fd, message, MESSAGE) != MESSAGE) fail("read");
        busy[n] = 0;
    }
}

static void jobs(void) {
    double begin = now();
    for (int n = 0; n < JOBS; n++) give(free_child(NULL), 0);
    drain();
    printf("jobs %.3f\n", JOBS / (now() - begin));
}

/* There is always another long job, which an urgent one overtakes. It comes at any time. */
static void urgent(int queued) {
    static double times[TIMES];
    for (int n = 0; n < TIMES; n++) {
        double at = now() + (queued ? (double)rand() / RAND_MAX * LENGTH_NS * 1e-9 : 0);
        while (queued && now() < at) {
            int child = free_child(&at);
            if (child >= 0) give(child, 1);
        }
        double begin = now();
        int child = free_child(NULL);
        give(child, 0);
        char message[MESSAGE];
        if (read(children[child].fd, message, MESSAGE) != MESSAGE) fail("read");
        busy[child] = 0;
        times[n] = (now() - begin) * 1e3;
    }
    drain();
    qsort(times, TIMES, sizeof *times, ascending);
    printf("urgent_p50 %.6f\nurgent_p99 %.6f\n", times[TIMES / 2], times[TIMES * 99 / 100]);
}

int main(int argc, char **argv) {
    if (argc != 2) return 2;
    int queued = atoi(argv[1]);
    start();
    if (queued) jobs();
    urgent(queued);
    return 0;
}
