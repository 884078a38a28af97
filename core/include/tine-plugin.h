/* tine-plugin.h - entries and functions for tine's processes, in C.
 *
 * A shared object that exports tine_plugin() can be loaded into a process while it is prepared
 * (Process::load). Its entries can then be run there by name, and its functions be called.
 *
 *     static int shout(const void *data, int socket, const struct tine_item *items, size_t count,
 *                      char *error, size_t room) { ... return 0; }
 *     static const struct tine_export exports[] = { { "shout", TINE_ENTRY, shout, 0 } };
 *     static const struct tine_plugin plugin = { TINE_PLUGIN_VERSION, 1, exports };
 *     const struct tine_plugin *tine_plugin(void) { return &plugin; }
 *
 *     cc -shared -fPIC -o shout.so shout.c
 */
#ifndef TINE_PLUGIN_H
#define TINE_PLUGIN_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define TINE_PLUGIN_VERSION 1

enum tine_kind {
    TINE_ENTRY = 0,   /* run: has a socket, and the items that were sent */
    TINE_FUNCTION = 1 /* called while the process is prepared: socket is -1, the items are its arguments */
};

/* One thing that the app sent. */
struct tine_item {
    int fd;                      /* a descriptor, yours to close; or -1 */
    const unsigned char *octets; /* an argument, valid until you return */
    size_t length;
};

/* Returns 0 for success. Otherwise the app is told of a failure, with the text in error if there is one:
 * at most room octets, the last of them NUL. The socket is yours to close; it is a blocking stream.
 * An exception of C++ that leaves it ends the process (SIGABRT). */
typedef int (*tine_call)(const void *data, int socket, const struct tine_item *items, size_t count,
                         char *error, size_t room);

struct tine_export {
    const char *name; /* one of its own among the entries, or the functions, of this object */
    uint32_t kind;    /* enum tine_kind */
    tine_call call;
    const void *data; /* given back to call */
};

struct tine_plugin {
    uint32_t version; /* TINE_PLUGIN_VERSION */
    uint32_t count;
    const struct tine_export *exports;
};

/* What the object exports. The table lives as long as the object. */
const struct tine_plugin *tine_plugin(void);

#ifdef __cplusplus
}
#endif

#endif
