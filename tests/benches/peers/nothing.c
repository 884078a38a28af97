/* A program that does nothing, or writes one byte when asked to. */
#include <unistd.h>

int main(int argc, char **argv) {
    (void)argv;
    return argc > 1 && write(STDOUT_FILENO, "x", 1) != 1;
}
