"""UUIDv7, which Troth takes as a request_id."""

from __future__ import annotations

import secrets
import time
import uuid


def new_request_id(at_ms: int | None = None) -> str:
    milliseconds = time.time_ns() // 1_000_000 if at_ms is None else at_ms
    number = milliseconds << 80 | secrets.randbits(80)
    number = number & ~(0xF << 76) | 7 << 76  # version
    number = number & ~(0b11 << 62) | 0b10 << 62  # variant
    return str(uuid.UUID(int=number))


def as_database_key(request_id: str, kind: str) -> str | bytes:
    """As `troth_branch.request_id` holds it."""
    return request_id if kind == "postgres" else uuid.UUID(request_id).bytes


def from_database_key(key: str | bytes) -> str:
    return str(uuid.UUID(bytes=key)) if isinstance(key, bytes) else str(key)
