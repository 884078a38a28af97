/* A plugin whose table is not as it should be; process_plugins compiles it with EXPORTS, COUNT and AT. */
#include "tine-plugin.h"

int nothing(const void *data, int socket, const struct tine_item *items, size_t count, char *error, size_t room) {
    (void)data, (void)socket, (void)items, (void)count, (void)error, (void)room;
    return 0;
}

const struct tine_export exports[] = { EXPORTS };
static const struct tine_plugin plugin = { TINE_PLUGIN_VERSION, COUNT, AT };

const struct tine_plugin *tine_plugin(void) { return &plugin; }
