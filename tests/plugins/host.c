/* A program that knows nothing of tine and loads a library that uses it: LIBRARY DEED..., each a number that the library
   is asked with, `delete` or `replace`. */
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int main(int argc, char **argv) {
    puts("main");
    fflush(stdout);
    void *library = argc > 1 ? dlopen(argv[1], RTLD_NOW) : NULL;
    int (*ask)(int) = library ? (int (*)(int))dlsym(library, "tine_test_ask") : NULL;
    if (!ask) {
        fprintf(stderr, "%s\n", dlerror());
        return 1;
    }
    for (int n = 2; n < argc; n++) {
        FILE *other;
        if (!strcmp(argv[n], "delete")) {
            if (unlink(argv[1])) return 2;
        } else if (!strcmp(argv[n], "replace")) {
            if (unlink(argv[1]) || !(other = fopen(argv[1], "w"))) return 2;
            fclose(other);
        } else if (ask(atoi(argv[n]))) {
            return 3;
        }
    }
    return 0;
}
