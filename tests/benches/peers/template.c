/* The least that a template can do: it takes a socket over a socket, forks, and the child does its work.
 * No orders, no account of the end, no cleaning. The limit that tine's templates are measured by.
 *
 * template APP_MB WINDOW_MS    measures
 * template hold APP_MB         prints the ids of the template and of an idle worker, until its input ends */
#include "measure.h"

#include <signal.h>

static int command;

static int send_socket(int socket, char work) {
    struct iovec body = { &work, 1 };
    union { char space[CMSG_SPACE(sizeof socket)]; struct cmsghdr aligned; } control;
    struct msghdr message = { .msg_iov = &body, .msg_iovlen = 1, .msg_control = control.space,
                              .msg_controllen = sizeof control.space };
    struct cmsghdr *header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof socket);
    memcpy(CMSG_DATA(header), &socket, sizeof socket);
    return sendmsg(command, &message, MSG_NOSIGNAL);
}

static int receive_socket(char *work) {
    struct iovec body = { work, 1 };
    union { char space[CMSG_SPACE(sizeof(int))]; struct cmsghdr aligned; } control;
    struct msghdr message = { .msg_iov = &body, .msg_iovlen = 1, .msg_control = control.space,
                              .msg_controllen = sizeof control.space };
    int socket;
    if (recvmsg(command, &message, MSG_CMSG_CLOEXEC) <= 0 || CMSG_FIRSTHDR(&message) == NULL) return -1;
    memcpy(&socket, CMSG_DATA(CMSG_FIRSTHDR(&message)), sizeof socket);
    return socket;
}

static void work_in_child(int socket, char work) {
    pid_t own = getpid();
    switch (work) {
    case BYTE: _exit(write(socket, "x", 1) != 1);
    case 'h': _exit(write(socket, &own, sizeof own) != sizeof own || read(socket, &work, 1) != 0);
    default: _exit(0);
    }
}

static void serve(void) {
    char work;
    int socket;
    signal(SIGCHLD, SIG_IGN);
    while ((socket = receive_socket(&work)) >= 0) {
        if (fork() == 0) work_in_child(socket, work);
        close(socket);
    }
    _exit(0);
}

static struct worker start(enum work work) {
    int ends[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) < 0) fail("socketpair");
    if (send_socket(ends[1], work) < 0) fail("ask the template");
    close(ends[1]);
    return (struct worker){ ends[0], 0 };
}

static void hold(pid_t template) {
    char byte;
    pid_t child;
    struct worker worker = start('h');
    if (read(worker.socket, &child, sizeof child) != sizeof child) fail("read the worker's id");
    printf("template %d\nworker %d\n", template, child);
    fflush(stdout);
    if (read(STDIN_FILENO, &byte, 1) < 0) fail("wait for the end");
}

int main(int argc, char **argv) {
    int ends[2];
    if (argc < 3 || socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0) fail("template");
    pid_t template = fork();
    command = ends[template == 0];
    close(ends[template != 0]);
    if (template == 0) serve();
    if (strcmp(argv[1], "hold") == 0) {
        grow(atoi(argv[2]));
        hold(template);
    } else {
        grow(atoi(argv[1]));
        measure(start, atoi(argv[2]) / 1e3);
    }
    return 0;
}
