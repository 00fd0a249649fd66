"""Framed Thrift as a proxy sees it: frames, and the method and kind of the message in each."""

from __future__ import annotations

import dataclasses
import struct

LENGTH_BYTES = 4
LONGEST_FRAME = 256 << 20

_KINDS = {1: "call", 2: "reply", 3: "exception", 4: "oneway"}


@dataclasses.dataclass(frozen=True)
class Message:
    frame: bytes  # without its length
    method: str  # empty where no message header could be read
    kind: str  # call, reply, exception, oneway, or empty
    seqid: int
    connection: int = 0  # the proxy's number of it, from 1

    @property
    def on_the_wire(self) -> bytes:
        return struct.pack("!I", len(self.frame)) + self.frame

    @property
    def to_server(self) -> bool:
        return self.kind in ("call", "oneway")


def parse_message(frame: bytes, connection: int = 0) -> Message:
    """Reads the header of a binary (strict) or compact message; anything else keeps its bytes and has no method."""
    try:
        if frame[:2] == b"\x80\x01":
            method, kind, seqid = _binary_header(frame)
        elif frame[:1] == b"\x82":
            method, kind, seqid = _compact_header(frame)
        else:
            return Message(frame, "", "", 0, connection)
        return Message(frame, method.decode("utf-8"), _KINDS[kind], seqid, connection)
    except (IndexError, KeyError, ValueError, struct.error):
        return Message(frame, "", "", 0, connection)


def _binary_header(frame: bytes) -> tuple[bytes, int, int]:
    kind, length = struct.unpack_from("!xxxBi", frame)
    seqid = struct.unpack_from("!i", frame, 8 + length)[0]
    return frame[8 : 8 + length], kind, seqid


def _compact_header(frame: bytes) -> tuple[bytes, int, int]:
    kind = frame[1] >> 5
    seqid, at = _varint(frame, 2)
    length, at = _varint(frame, at)
    if at + length > len(frame):
        raise ValueError("the name is longer than the frame")
    return frame[at : at + length], kind, seqid


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[at]
        value |= (byte & 0x7F) << shift
        at += 1
        if byte < 0x80:
            return value, at
        shift += 7
