"""Certificates of a development CA, made by deploy/dev-ca.sh as everybody makes them."""

from __future__ import annotations

import dataclasses
import ssl
import subprocess
from pathlib import Path

from thrift.transport import TSSLSocket

from harness import ROOT


@dataclasses.dataclass(frozen=True)
class Certificate:
    ca: Path
    certificate: Path
    key: Path

    @property
    def settings(self) -> dict[str, str]:
        """The section [tls] of a server's configuration."""
        return {"ca": str(self.ca), "certificate": str(self.certificate), "key": str(self.key)}

    @property
    def environment(self) -> dict[str, str]:
        """For the tool and for the examples."""
        return {f"TROTH_TLS_{name.upper()}": path for name, path in self.settings.items()}

    def context(self) -> ssl.SSLContext:
        context = ssl.create_default_context(cafile=str(self.ca))
        context.load_cert_chain(self.certificate, self.key)
        return context

    def socket(self, port: int) -> TSSLSocket.TSSLSocket:
        """Thrift's own, not yet open; the context has compared the host's name already."""
        return TSSLSocket.TSSLSocket(
            "127.0.0.1",
            port,
            ssl_context=self.context(),
            server_hostname="127.0.0.1",
            validate_callback=lambda _certificate, _host: None,
        )


class CertificateAuthority:
    """
    authority = CertificateAuthority(workspace / "ca")
    authority.issue("service", "payments").environment
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._issued: dict[tuple[str, str], Certificate] = {}

    def of(self, role: str, name: str) -> Certificate:
        """Issued at the first call."""
        if (role, name) not in self._issued:
            self._issued[role, name] = self.issue(role, name)
        return self._issued[role, name]

    def issue(self, role: str, name: str) -> Certificate:
        """Again for the same name: renewed, in the same files."""
        command = [ROOT / "deploy" / "dev-ca.sh", self.directory, role, name]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        path = self.directory / f"{role}-{name}"
        return Certificate(self.directory / "ca.pem", path.with_suffix(".pem"), path.with_suffix(".key"))

    def issue_for_host(self, host: str) -> Certificate:
        """A server's that names this host and no other, which the script never makes."""
        self.of("operator", "anybody")  # the CA exists
        path = self.directory / f"host-{host}"
        request = subprocess.run(
            [
                "openssl", "req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-noenc",
                "-subj", f"/CN={host}", "-addext", f"subjectAltName=DNS:{host}", "-keyout", path.with_suffix(".key"),
            ],
            capture_output=True,
            check=True,
        )  # fmt: skip
        subprocess.run(
            [
                "openssl", "x509", "-req", "-CA", self.directory / "ca.pem", "-CAkey", self.directory / "ca.key",
                "-copy_extensions", "copy", "-days", "1", "-out", path.with_suffix(".pem"),
            ],
            input=request.stdout,
            capture_output=True,
            check=True,
        )  # fmt: skip
        return Certificate(self.directory / "ca.pem", path.with_suffix(".pem"), path.with_suffix(".key"))
