/* Bench `sockets`, libev from C: arguments are pairs, active ones, and milliseconds to measure. */
#include "loops.h"

#include <ev.h>
#include <sys/socket.h>

struct conn {
	ev_io readable;
	ev_timer timeout;
	int read, write;
};

static struct conn *conns;
static unsigned pairs;
static long requests;

static void expired(struct ev_loop *loop, ev_timer *timer, int events)
{
	(void)loop, (void)timer, (void)events;
	abort();
}

static void request(struct ev_loop *loop, ev_io *io, int events)
{
	struct conn *conn = (struct conn *)io;
	char octet;

	(void)events;
	if (read(conn->read, &octet, 1) != 1 || write(conns[below(pairs)].write, &octet, 1) != 1)
		abort();
	ev_timer_again(loop, &conn->timeout);
	requests++;
}

static void stop(struct ev_loop *loop, ev_timer *timer, int events)
{
	(void)timer, (void)events;
	ev_break(loop, EVBREAK_ALL);
}

static void create(struct ev_loop *loop)
{
	for (struct conn *conn = conns; conn < conns + pairs; conn++) {
		int pair[2];
		if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair))
			abort();
		conn->read = pair[0];
		conn->write = pair[1];
		ev_io_init(&conn->readable, request, conn->read, EV_READ);
		ev_io_start(loop, &conn->readable);
		ev_timer_init(&conn->timeout, expired, 3600, 3600);
		ev_timer_start(loop, &conn->timeout);
	}
}

int main(int count, char **words)
{
	struct ev_loop *loop = ev_default_loop(EVBACKEND_EPOLL);
	ev_timer stopper;
	double begin;

	if (count != 4)
		return 2;
	raise_descriptor_limit();
	pairs = atoi(words[1]);
	conns = calloc(pairs, sizeof *conns);
	begin = seconds();
	create(loop);
	printf("create %.4f\n", (seconds() - begin) / pairs * 1e6);
	for (int active = atoi(words[2]); active > 0; active--)
		if (write(conns[below(pairs)].write, "x", 1) != 1)
			abort();
	ev_timer_init(&stopper, stop, atoi(words[3]) / 1e3, 0);
	ev_timer_start(loop, &stopper);
	begin = seconds();
	ev_run(loop, 0);
	printf("request %.4f\n", (seconds() - begin) / requests * 1e6);
	return 0;
}
