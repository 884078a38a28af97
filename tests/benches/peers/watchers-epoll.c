/* Bench `watchers`, bare epoll: half of the watchers of copies of one descriptor, for epoll takes one once;
 * half timers of zero, which are deadlines in an array. */
#define _GNU_SOURCE
#include "loops.h"

#include <fcntl.h>
#include <sys/epoll.h>

enum { MOST = 16000 };

struct watcher {
	int fd;
	double deadline;
};

int main(int count, char **words)
{
	int set = epoll_create1(EPOLL_CLOEXEC), pair[2], *copies;
	struct watcher *watchers;
	long half, left, bytes;
	double begin, now;

	if (count != 2 || pipe2(pair, O_CLOEXEC | O_NONBLOCK))
		return 2;
	half = atol(words[1]) / 2;
	if (half * 2 > MOST)
		return 0;
	raise_descriptor_limit();
	copies = malloc(half * sizeof *copies);
	for (long n = 0; n < half; n++)
		if ((copies[n] = dup(pair[1])) < 0)
			abort();
	bytes = resident();
	begin = seconds();
	watchers = malloc(half * 2 * sizeof *watchers);
	for (long n = 0; n < half; n++) {
		struct epoll_event event = { .events = EPOLLOUT, .data.u32 = n };
		watchers[n].fd = copies[n];
		if (epoll_ctl(set, EPOLL_CTL_ADD, copies[n], &event))
			abort();
		watchers[half + n].deadline = begin;
	}
	printf("create %.4f\n", (seconds() - begin) / (half * 2) * 1e6);
	printf("bytes %.1f\n", (double)(resident() - bytes) / (half * 2));
	begin = now = seconds();
	left = half * 2;
	for (long n = 0; n < half; n++)
		left -= watchers[half + n].deadline <= now;
	while (left > 0) {
		struct epoll_event events[64];
		left -= epoll_wait(set, events, 64, -1);
	}
	printf("invoke %.4f\n", (seconds() - begin) / (half * 2) * 1e6);
	begin = seconds();
	for (long n = 0; n < half; n++)
		if (epoll_ctl(set, EPOLL_CTL_DEL, watchers[n].fd, NULL))
			abort();
	free(watchers);
	printf("destroy %.4f\n", (seconds() - begin) / (half * 2) * 1e6);
	return 0;
}
