/* A plugin in C, which process_plugins compiles and loads. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "tine-plugin.h"

static char warmth[64];

static int warm(const void *data, int socket, const struct tine_item *items, size_t count, char *error,
                size_t room) {
    (void)data, (void)socket;
    if (count != 1 || items[0].fd >= 0 || items[0].length >= sizeof warmth) {
        snprintf(error, room, "%zu arguments", count);
        return 1;
    }
    memcpy(warmth, items[0].octets, items[0].length);
    return 0;
}

/* What it was warmed with, what was sent, and what a descriptor holds. */
static int tell(const void *data, int socket, const struct tine_item *items, size_t count, char *error,
                size_t room) {
    char octets[64];
    ssize_t got;
    if (write(socket, warmth, strlen(warmth)) < 0) return 1;
    for (size_t n = 0; n < count; n++) {
        const void *from = items[n].octets;
        size_t length = items[n].length;
        if (items[n].fd >= 0) {
            if ((got = read(items[n].fd, octets, sizeof octets)) < 0) {
                snprintf(error, room, "%s", strerror(errno));
                return 1;
            }
            from = octets, length = got;
            close(items[n].fd);
        }
        if (write(socket, from, length) != (ssize_t)length) return 1;
    }
    write(socket, data, strlen(data));
    close(socket);
    return 0;
}

static const struct tine_export exports[] = {
    { "c::warm", TINE_FUNCTION, warm, 0 },
    { "c::tell", TINE_ENTRY, tell, "!" },
};
static const struct tine_plugin plugin = { TINE_PLUGIN_VERSION, sizeof exports / sizeof *exports, exports };

const struct tine_plugin *tine_plugin(void) { return &plugin; }
