/* The ways without a template: the app forks itself, or spawns a program.
 *
 * spawn APP_MB WINDOW_MS                 fork(2) of the app
 * spawn APP_MB WINDOW_MS PROGRAM ARG…    posix_spawn(3) of PROGRAM, whose standard output is the socket;
 *                                        a last argument "byte" asks it for one */
#include "measure.h"

#include <spawn.h>

extern char **environ;

static char **program;
/* Where "byte" goes in the arguments. */
static char **last;

static void make_pair(int ends[2]) {
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) < 0) fail("socketpair");
}

static struct worker start_fork(enum work work) {
    int ends[2];
    make_pair(ends);
    pid_t child = fork();
    if (child < 0) fail("fork");
    if (child == 0) _exit(work == BYTE && write(ends[1], "x", 1) != 1);
    close(ends[1]);
    return (struct worker){ ends[0], child };
}

static struct worker start_program(enum work work) {
    int ends[2];
    pid_t child;
    posix_spawn_file_actions_t actions;
    make_pair(ends);
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO);
    *last = work == BYTE ? "byte" : NULL;
    if (posix_spawn(&child, program[0], &actions, NULL, program, environ) != 0) fail(program[0]);
    posix_spawn_file_actions_destroy(&actions);
    close(ends[1]);
    return (struct worker){ ends[0], child };
}

int main(int argc, char **argv) {
    if (argc < 3) return 2;
    if (argc > 3) {
        size_t words = argc - 3;
        program = calloc(words + 2, sizeof *program);
        memcpy(program, argv + 3, words * sizeof *program);
        last = program + words;
    }
    grow(atoi(argv[1]));
    measure(program ? start_program : start_fork, atoi(argv[2]) / 1e3);
    return 0;
}
