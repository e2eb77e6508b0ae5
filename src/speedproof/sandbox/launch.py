"""Runs inside the sandbox, before the agent: opens the one way out, hands it to the gateway, becomes the agent.

A socket that listens on the sandbox's own loopback is sent over the inherited Unix socket; the gateway, outside,
accepts on it. Nothing of the host's network is reachable from here.

usage: launch.py DESCRIPTOR PORT COMMAND...
"""

import os
import socket
import sys


def main() -> None:
    """Hand out the listening socket, then execute the command."""
    channel = socket.socket(fileno=int(sys.argv[1]))
    server = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    server.bind(("127.0.0.1", int(sys.argv[2])))
    server.listen(128)
    socket.send_fds(channel, [b"listening"], [server.fileno()])
    channel.recv(1)  # the gateway is attached
    channel.close()
    server.close()
    command = sys.argv[3:]
    try:
        os.execvp(command[0], command)
    except OSError as error:
        sys.stderr.write(f"speedproof: cannot execute {command[0]}: {error.strerror}\n")
        sys.exit(127)


main()
