/* Nothing but a socket pair: what typed messages are held against.
 *
 * roundtrips OCTETS   short ones go to a child and back, as ../rpc/main.rs has it; a MiB and more is written by
 *                     the child when it is asked */
#include "measure.h"

enum { LARGE = 1 << 20, AT_ONCE = 100, TIMES = 9 };

static void take(int socket, char *octets, size_t count) {
    while (count > 0) {
        ssize_t got = read(socket, octets, count);
        if (got <= 0) fail("read");
        octets += got;
        count -= got;
    }
}

static void give(int socket, const char *octets, size_t count) {
    while (count > 0) {
        ssize_t put = write(socket, octets, count);
        if (put <= 0) fail("write");
        octets += put;
        count -= put;
    }
}

/* Answers until the app closes its end. */
static void serve(int socket, char *octets, size_t count, size_t request) {
    for (;;) {
        ssize_t got = read(socket, octets, request);
        if (got <= 0) _exit(0);
        take(socket, octets + got, request - got);
        give(socket, octets, count);
    }
}

int main(int argc, char **argv) {
    int ends[2];
    if (argc != 2) return 2;
    size_t count = atol(argv[1]), request = count < LARGE ? count : 1;
    char *octets = malloc(count);
    memset(octets, 'x', count);
    if (socketpair(AF_UNIX, SOCK_STREAM, 0, ends) < 0) fail("socketpair");
    pid_t child = fork();
    if (child < 0) fail("fork");
    if (child == 0) {
        close(ends[0]);
        serve(ends[1], octets, count, request);
    }
    close(ends[1]);
    if (count < LARGE) {
        double begin = now();
        size_t trips = 0;
        while (now() - begin < 0.3) {
            for (int n = 0; n < AT_ONCE; n++, trips++) {
                give(ends[0], octets, count);
                take(ends[0], octets, count);
            }
        }
        printf("round_trips %.3f\n", trips / (now() - begin));
    } else {
        double times[TIMES];
        for (int n = 0; n < TIMES; n++) {
            double begin = now();
            give(ends[0], octets, request);
            take(ends[0], octets, count);
            times[n] = (now() - begin) * 1e3;
        }
        qsort(times, TIMES, sizeof *times, ascending);
        printf("bulk %.6f\n", times[TIMES / 2]);
    }
    close(ends[0]);
    waitpid(child, NULL, 0);
    return 0;
}
