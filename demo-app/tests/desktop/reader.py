"""Somebody who hears the screen instead of seeing it: what assistive tools are told, over AT-SPI.

reader.py tree        prints role, name, states and description of all that programs show, a line each
reader.py press NAME  presses the button of this name
"""

import sys

import gi

gi.require_version("Atspi", "2.0")
from gi.repository import Atspi, GLib

STATES = {"focused": Atspi.StateType.FOCUSED, "selected": Atspi.StateType.SELECTED}
DEEPEST = 40
MOST = 100


def below(accessible, depth=0):
    """All that is in there, unless it goes while it is looked at."""
    try:
        yield accessible
        for index in range(min(accessible.get_child_count(), MOST) if depth < DEEPEST else 0):
            child = accessible.get_child_at_index(index)
            if child is not None:
                yield from below(child, depth + 1)
    except GLib.Error:
        return


def tell(accessible):
    try:
        states = accessible.get_state_set()
        states = "+".join(name for name, state in STATES.items() if states.contains(state))
        words = (accessible.get_role_name(), accessible.get_name(), states, accessible.get_description())
        print("\t".join(word.replace("\n", " ") for word in words))
    except GLib.Error:
        return


def press(accessible, name):
    try:
        if accessible.get_role() == Atspi.Role.PUSH_BUTTON and accessible.get_name() == name:
            return accessible.get_action_iface().do_action(0)
    except GLib.Error:
        pass
    return False


def main():
    Atspi.init()
    everything = below(Atspi.get_desktop(0))
    match sys.argv[1:]:
        case ["tree"]:
            for accessible in everything:
                tell(accessible)
        case ["press", name]:
            if not any(press(accessible, name) for accessible in everything):
                sys.exit(f"no button {name}")


main()
