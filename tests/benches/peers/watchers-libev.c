/* Bench `watchers`, libev from C: half of the watchers of one descriptor, half timers of zero. */
#define _GNU_SOURCE
#include "loops.h"

#include <ev.h>
#include <fcntl.h>

static long left;

static void io_called(struct ev_loop *loop, ev_io *io, int events)
{
	(void)io, (void)events;
	if (--left == 0)
		ev_break(loop, EVBREAK_ALL);
}

static void timer_called(struct ev_loop *loop, ev_timer *timer, int events)
{
	(void)timer, (void)events;
	if (--left == 0)
		ev_break(loop, EVBREAK_ALL);
}

int main(int count, char **words)
{
	struct ev_loop *loop = ev_default_loop(EVBACKEND_EPOLL);
	ev_io **ios;
	ev_timer **timers;
	int pair[2];
	long half, bytes;
	double begin;

	if (count != 2 || pipe2(pair, O_CLOEXEC | O_NONBLOCK))
		return 2;
	half = atol(words[1]) / 2;
	left = half * 2;
	bytes = resident();
	begin = seconds();
	/* Each by itself, as programs have them. */
	ios = malloc(half * sizeof *ios);
	timers = malloc(half * sizeof *timers);
	for (long n = 0; n < half; n++) {
		ios[n] = malloc(sizeof **ios);
		ev_io_init(ios[n], io_called, pair[1], EV_WRITE);
		ev_io_start(loop, ios[n]);
		timers[n] = malloc(sizeof **timers);
		ev_timer_init(timers[n], timer_called, 0, 0);
		ev_timer_start(loop, timers[n]);
	}
	printf("create %.4f\n", (seconds() - begin) / (half * 2) * 1e6);
	printf("bytes %.1f\n", (double)(resident() - bytes) / (half * 2));
	begin = seconds();
	ev_run(loop, 0);
	printf("invoke %.4f\n", (seconds() - begin) / (half * 2) * 1e6);
	begin = seconds();
	/* The youngest first, which libev finds at once: its list of a descriptor's watchers is searched. */
	for (long n = half; n-- > 0;) {
		ev_io_stop(loop, ios[n]);
		free(ios[n]);
	}
	for (long n = 0; n < half; n++) {
		ev_timer_stop(loop, timers[n]);
		free(timers[n]);
	}
	printf("destroy %.4f\n", (seconds() - begin) / (half * 2) * 1e6);
	return 0;
}
