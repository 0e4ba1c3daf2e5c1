"""Notes every look-up of and connection to another machine in `$CITE_AUDIT`; Python imports it at start where it is on the path."""

import os
import sys

LOCAL = ("127.", "localhost", "::1", "0.0.0.0", "None")
log = os.environ.get("CITE_AUDIT")


def note(event: str, arguments: tuple[object, ...]) -> None:
    """An audit hook (PEP 578)."""
    if event == "socket.connect":
        where = arguments[1]
        host = str(where[0]) if isinstance(where, tuple) else "127.0.0.1"  # a path: a socket of this machine
    elif event == "socket.getaddrinfo":
        host = str(arguments[0])
    else:
        return
    if not host.startswith(LOCAL):
        with open(str(log), "a") as file:  # noqa: PTH123
            file.write(f"{event} {host}\n")


if log:
    with open(log, "a") as started:  # noqa: PTH123
        started.write("watching\n")
    sys.addaudithook(note)
