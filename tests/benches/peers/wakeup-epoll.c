/* Bench `wakeup`, bare epoll: the least that a wake-up takes. Another thread rings an eventfd ("post"), or a
 * forked process writes the time to a socket ("worker"); each first sees to it that the loop's thread sleeps.
 * The loop has a processor, and who wakes it up another. */
#define _GNU_SOURCE
#include "loops.h"

#include <pthread.h>
#include <sched.h>
#include <stdint.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

enum { SAMPLES = 2000 };

static double samples[SAMPLES];
/* Where the time is written to, and where the next wake-up is asked for. */
static int ring, ask;
static double rung;
static char sleeper[64];

/* Keeps this thread on the first or the second of the processors that it may have; the last, if there are
 * less. */
static void pin(int nth)
{
	cpu_set_t may, one;
	int found = -1;
	if (sched_getaffinity(0, sizeof may, &may))
		abort();
	for (int cpu = 0; cpu < CPU_SETSIZE && nth >= 0; cpu++)
		if (CPU_ISSET(cpu, &may))
			found = cpu, nth--;
	CPU_ZERO(&one);
	CPU_SET(found, &one);
	if (sched_setaffinity(0, sizeof one, &one))
		abort();
}

/* Nothing when the thread has ended. */
static int asleep(void)
{
	char stat[512];
	for (;;) {
		FILE *file = fopen(sleeper, "r");
		if (!file)
			return 0;
		size_t length = fread(stat, 1, sizeof stat - 1, file);
		fclose(file);
		stat[length] = 0;
		char *end = strrchr(stat, ')');
		if (end && end[2] == 'S')
			return 1;
		sched_yield();
	}
}

static void *post(void *nothing)
{
	char octet;
	pin(1);
	while (read(ask, &octet, 1) == 1 && asleep()) {
		uint64_t one = 1;
		rung = seconds();
		if (write(ring, &one, sizeof one) != sizeof one)
			abort();
	}
	return nothing;
}

static void work(int socket)
{
	char octet;
	pin(1);
	while (read(socket, &octet, 1) == 1 && asleep()) {
		double now = seconds();
		if (write(socket, &now, sizeof now) != sizeof now)
			break;
	}
	_exit(0);
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;
	return (x > y) - (x < y);
}

int main(int argc, char **argv)
{
	int posts = argc > 1 && !strcmp(argv[1], "post"), pair[2], wake, set = epoll_create1(EPOLL_CLOEXEC);
	pthread_t thread;
	snprintf(sleeper, sizeof sleeper, "/proc/%d/task/%d/stat", getpid(), getpid());
	if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair))
		abort();
	if (posts) {
		wake = ring = eventfd(0, EFD_CLOEXEC);
		ask = pair[1];
		if (pthread_create(&thread, NULL, post, NULL))
			abort();
	} else {
		if (fork() == 0) {
			close(pair[0]);
			work(pair[1]);
		}
		close(pair[1]);
		wake = pair[0];
	}
	pin(0);
	struct epoll_event event = { .events = EPOLLIN };
	if (epoll_ctl(set, EPOLL_CTL_ADD, wake, &event))
		abort();
	for (int n = 0; n < SAMPLES; n++) {
		double then;
		if (write(pair[0], "?", 1) != 1)
			abort();
		while (epoll_wait(set, &event, 1, -1) != 1)
			;
		if (read(wake, &then, sizeof then) != sizeof then)
			abort();
		samples[n] = (seconds() - (posts ? rung : then)) * 1e6;
	}
	qsort(samples, SAMPLES, sizeof *samples, compare);
	printf("wakeup_p50 %.3f\nwakeup_p99 %.3f\n", samples[SAMPLES / 2], samples[SAMPLES * 99 / 100]);
	return 0;
}
