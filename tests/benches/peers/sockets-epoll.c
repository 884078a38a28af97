/* Bench `sockets`, bare epoll: the least that a loop can do. A timer is a deadline in an array. */
#include "loops.h"

#include <sys/epoll.h>
#include <sys/socket.h>

struct conn {
	int read, write;
	double deadline;
};

static struct conn *conns;
static unsigned pairs;

static void create(int set)
{
	for (unsigned n = 0; n < pairs; n++) {
		struct epoll_event event = { .events = EPOLLIN, .data.u32 = n };
		int pair[2];
		if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair))
			abort();
		conns[n].read = pair[0];
		conns[n].write = pair[1];
		if (epoll_ctl(set, EPOLL_CTL_ADD, pair[0], &event))
			abort();
	}
}

static long run(int set, double end)
{
	long requests = 0;
	for (double now = seconds(); now < end;) {
		struct epoll_event events[64];
		int ready = epoll_wait(set, events, 64, -1);
		now = seconds();
		for (int n = 0; n < ready; n++) {
			struct conn *conn = conns + events[n].data.u32;
			char octet;
			if (read(conn->read, &octet, 1) != 1 || write(conns[below(pairs)].write, &octet, 1) != 1)
				abort();
			conn->deadline = now + 3600;
			requests++;
		}
	}
	return requests;
}

int main(int count, char **words)
{
	int set = epoll_create1(EPOLL_CLOEXEC);
	double begin;
	long requests;

	if (count != 4)
		return 2;
	raise_descriptor_limit();
	pairs = atoi(words[1]);
	conns = calloc(pairs, sizeof *conns);
	begin = seconds();
	create(set);
	printf("create %.4f\n", (seconds() - begin) / pairs * 1e6);
	for (int active = atoi(words[2]); active > 0; active--)
		if (write(conns[below(pairs)].write, "x", 1) != 1)
			abort();
	begin = seconds();
	requests = run(set, begin + atoi(words[3]) / 1e3);
	printf("request %.4f\n", (seconds() - begin) / requests * 1e6);
	return 0;
}
