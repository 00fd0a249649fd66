"""Writes configuration files: the part of TOML that Troth's programs read, which is [section] and [[section]]."""

from __future__ import annotations

import json
from pathlib import Path


def to_toml(settings: dict) -> str:
    lines = [f"{key} = {_value(value)}" for key, value in settings.items() if not _is_section(value)]
    for name, section in settings.items():
        if not _is_section(section):
            continue
        for table in section if isinstance(section, list) else [section]:
            heading = f"[[{name}]]" if isinstance(section, list) else f"[{name}]"
            lines += ["", heading, *(f"{key} = {_value(value)}" for key, value in table.items())]
    return "\n".join(lines) + "\n"


def _is_section(value: object) -> bool:
    return isinstance(value, dict) or (isinstance(value, list) and bool(value) and isinstance(value[0], dict))


def _value(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, float)):
        return str(value)
    if isinstance(value, (str, Path)):
        # JSON's escapes are among those of a TOML basic string.
        return json.dumps(str(value), ensure_ascii=False)
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(_value(item) for item in value) + "]"
    raise TypeError(f"no TOML for {type(value).__name__}: {value!r}")
