#!/usr/bin/python3
"""bank_transfer.py HOST:PORT FROM_RESOURCE:ID TO_RESOURCE:ID AMOUNT [REQUEST_ID]

With TLS: TROTH_TLS_CA, TROTH_TLS_CERTIFICATE and TROTH_TLS_KEY name the files."""

from __future__ import annotations

import os
import pathlib
import sys

# Where the build puts what `thrift --gen py` makes of thrift/*.thrift.
_GENERATED = pathlib.Path(__file__).parents[2] / "build" / "dev" / "python" / "troth_idl_python"
sys.path.insert(0, os.environ.get("TROTH_PYTHON", str(_GENERATED)))

from bank import Account, Bank, Outcome, Tls, new_request_id  # noqa: E402

EXIT_CODES = {Outcome.TRANSFERRED: 0, Outcome.REFUSED: 1, Outcome.UNKNOWN: 3}


def account(text: str) -> Account:
    resource, id_text = text.rsplit(":", 1)
    return Account(resource, int(id_text))


def tls_of_environment() -> Tls | None:
    if "TROTH_TLS_CA" not in os.environ:
        return None
    return Tls(*(os.environ[f"TROTH_TLS_{name}"] for name in ("CA", "CERTIFICATE", "KEY")))


def main(arguments: list[str]) -> int:
    try:
        address, source, target, amount, *rest = arguments
        host, port = address.rsplit(":", 1)
        (request_id,) = rest or [new_request_id()]
        bank = Bank(host, int(port), "bank-example", tls_of_environment())
        asked = (account(source), account(target), int(amount))
    except ValueError:
        print(f"usage: {__doc__}", file=sys.stderr)
        return 2
    # Printed first: whatever happens to this process, the transfer can be asked for again.
    print(f"request_id {request_id}", flush=True)
    answer = bank.transfer(*asked, request_id)
    bank.close()
    print(f"{answer.outcome.value}: {answer.detail}")
    if answer.outcome is Outcome.UNKNOWN:
        print("run the same command again with the request_id above")
    return EXIT_CODES[answer.outcome]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
