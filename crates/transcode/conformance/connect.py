"""The server under test of Connect's own conformance suite: the example `front` before the suite's reference server, which speaks gRPC.

connectconformance --mode server --conf connect.yaml -- python3 connect.py FRONT REFERENCESERVER DESCRIPTORS
"""

import os
import signal
import socket
import subprocess
import sys
import time


def read(stream):
    """A message, as the suite puts its length before it."""
    return stream.read(int.from_bytes(stream.read(4), "big"))


def write(stream, message):
    stream.write(len(message).to_bytes(4, "big") + message)
    stream.flush()


def varint(data, at):
    value = shift = 0
    while True:
        value |= (data[at] & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if data[at - 1] < 0x80:
            return value, at


def port_of(response):
    """The port of a ServerCompatResponse: its field 2; field 1 is the host."""
    at = 0
    while response[at] != 0x10:
        length, at = varint(response, at + 1)
        at += length
    return varint(response, at + 1)[0]


def encoded(value):
    return bytes([value]) if value < 0x80 else bytes([value & 0x7F | 0x80]) + encoded(value >> 7)


front, reference, descriptors = sys.argv[1:]
read(sys.stdin.buffer)
behind = subprocess.Popen([reference, "-port", "0"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
# A ServerCompatRequest: PROTOCOL_GRPC over HTTP_VERSION_2, whatever is asked of the front.
write(behind.stdin, b"\x08\x02\x10\x02")
upstream = port_of(read(behind.stdout))
with socket.socket() as free:
    free.bind(("127.0.0.1", 0))
    port = free.getsockname()[1]
before = subprocess.Popen([front, descriptors, f"http://127.0.0.1:{upstream}", f"127.0.0.1:{port}"])


def stop(*_):
    before.terminate()
    behind.terminate()
    os._exit(0)


signal.signal(signal.SIGTERM, stop)
while True:
    try:
        socket.create_connection(("127.0.0.1", port)).close()
        break
    except OSError:
        time.sleep(0.05)
write(sys.stdout.buffer, b"\x0a\x09127.0.0.1\x10" + encoded(port))
signal.pause()
