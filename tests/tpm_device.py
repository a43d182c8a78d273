"""A TPM as a character device, where the kernel has none: a terminal in raw mode, passed on to swtpm.

tpm_device.py LINK PORT: LINK becomes a link to the terminal. Ends with its standard input.
"""

import os
import pty
import select
import socket
import struct
import sys
import tty


def read(receive, size):
    data = b""
    while len(data) < size:
        piece = receive(size - len(data))
        if not piece:
            raise EOFError
        data += piece
    return data


def message(receive):
    head = read(receive, 6)
    return head + read(receive, struct.unpack(">HI", head)[1] - 6)


def main():
    link, port = sys.argv[1], int(sys.argv[2])
    master, slave = pty.openpty()
    tty.setraw(slave)
    os.symlink(os.ttyname(slave), link)
    while True:
        ready, _, _ = select.select([master, sys.stdin], [], [])
        if sys.stdin in ready:
            return
        command = message(lambda size: os.read(master, size))
        with socket.create_connection(("127.0.0.1", port)) as tpm:
            tpm.sendall(command)
            os.write(master, message(tpm.recv))


main()
