"""The programs around a viewer: a file manager and the desktop's portal, which print what they are asked.

Each call is a line: the method, then the files that it is about.
"""

import os

import gi

gi.require_version("Gio", "2.0")
from gi.repository import Gio, GLib

INTERFACES = """
<node>
  <interface name="org.freedesktop.FileManager1">
    <method name="ShowItems"><arg type="as" direction="in"/><arg type="s" direction="in"/></method>
  </interface>
  <interface name="org.freedesktop.portal.OpenURI">
    <method name="OpenFile">
      <arg type="s" direction="in"/><arg type="h" direction="in"/><arg type="a{sv}" direction="in"/>
      <arg type="o" direction="out"/>
    </method>
    <method name="OpenDirectory">
      <arg type="s" direction="in"/><arg type="h" direction="in"/><arg type="a{sv}" direction="in"/>
      <arg type="o" direction="out"/>
    </method>
  </interface>
</node>
"""
PATHS = ["/org/freedesktop/FileManager1", "/org/freedesktop/portal/desktop"]
NAMES = ["org.freedesktop.FileManager1", "org.freedesktop.portal.Desktop"]


def called(_bus, _sender, _path, _interface, method, parameters, invocation):
    if method == "ShowItems":
        print(method, *parameters.unpack()[0], flush=True)
        invocation.return_value(None)
        return
    _window, handle, options = parameters.unpack()
    descriptor = invocation.get_message().get_unix_fd_list().get(handle)
    print(method, os.readlink(f"/proc/self/fd/{descriptor}"), options, flush=True)
    invocation.return_value(GLib.Variant("(o)", ("/org/freedesktop/portal/desktop/request/1",)))


def main():
    bus = Gio.bus_get_sync(Gio.BusType.SESSION)
    node = Gio.DBusNodeInfo.new_for_xml(INTERFACES)
    for path, interface in zip(PATHS, node.interfaces):
        bus.register_object(path, interface, called, None, None)
    loop = GLib.MainLoop()
    for name in NAMES:
        Gio.bus_own_name_on_connection(bus, name, Gio.BusNameOwnerFlags.NONE, None, None)
    # A round trip: the names are owned.
    bus.call_sync("org.freedesktop.DBus", "/", "org.freedesktop.DBus", "GetId", None, None, 0, -1)
    print("ready", flush=True)
    loop.run()


main()
