/* A program that knows nothing of tine and loads libraries that use it: LIBRARY DEED..., each a number that the library
   is asked with, `delete` or `replace` for its file, or another LIBRARY with a slash in its path. With TINE_TEST_APART
   each is loaded into a namespace of its own. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int (*load(const char *path))(int) {
    void *library = getenv("TINE_TEST_APART") ? dlmopen(LM_ID_NEWLM, path, RTLD_NOW) : dlopen(path, RTLD_NOW);
    int (*ask)(int) = library ? (int (*)(int))dlsym(library, "tine_test_ask") : NULL;
    if (!ask) {
        fprintf(stderr, "%s\n", dlerror());
        exit(1);
    }
    return ask;
}

int main(int argc, char **argv) {
    int (*ask)(int) = NULL;
    const char *path = NULL;
    puts("main");
    fflush(stdout);
    for (int n = 1; n < argc; n++) {
        FILE *other;
        if (strchr(argv[n], '/')) {
            ask = load(path = argv[n]);
        } else if (!strcmp(argv[n], "delete")) {
            if (unlink(path)) return 2;
        } else if (!strcmp(argv[n], "replace")) {
            if (unlink(path) || !(other = fopen(path, "w"))) return 2;
            fclose(other);
        } else if (ask(atoi(argv[n]))) {
            return 3;
        }
    }
    return 0;
}
