"""Certificates for tests: an authority of the test's own, and what it issues."""

import datetime
import ipaddress
import itertools
import os
import ssl
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

_DAY = datetime.timedelta(days=1)
_numbers = itertools.count()


@dataclass(frozen=True)
class Files:
    """A pair on disk."""

    cert: Path
    key: Path

    @property
    def setting(self) -> dict[str, str]:
        """As the settings want it."""
        return {"cert": str(self.cert), "key": str(self.key)}

    def become(self, other: "Files") -> None:
        """Have the content of another pair, the key last, as a careless script would do it."""
        for mine, its in ((self.cert, other.cert), (self.key, other.key)):
            mine.write_bytes(its.read_bytes())


class Authority:
    """Issues certificates into a directory."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        directory.mkdir(exist_ok=True)
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Test Authority")])
        own = self._builder(self._key, self._name, 10, 10).add_extension(x509.BasicConstraints(True, None), True)
        self.file = self._write("authority.pem", _pem(own.sign(self._key, hashes.SHA256())))

    def issue(self, *names: str, days: int = 10, since: int = 1, password: bytes = b"") -> Files:
        """A pair for names and addresses, valid `days` from now, since `since` days; `password` locks the key."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "never.looked.at")])
        alternatives = x509.SubjectAlternativeName([_name(each) for each in names])
        built = self._builder(key, subject, days, since).add_extension(alternatives, False)
        number = next(_numbers)
        lock = serialization.BestAvailableEncryption(password) if password else serialization.NoEncryption()
        secret = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, lock)
        return Files(
            self._write(f"{number}.pem", _pem(built.sign(self._key, hashes.SHA256()))),
            self._write(f"{number}.key", secret),
        )

    def client(self, version: ssl.TLSVersion | None = None) -> ssl.SSLContext:
        """A viewer that trusts this authority alone; with `version` it speaks that one only."""
        context = ssl.create_default_context(cafile=self.file)
        if version is not None:
            context.minimum_version = context.maximum_version = version
        return context

    def _builder(
        self, key: ec.EllipticCurvePrivateKey, subject: x509.Name, days: int, since: int
    ) -> x509.CertificateBuilder:
        now = datetime.datetime.now(datetime.UTC)
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - since * _DAY)
            .not_valid_after(now + days * _DAY)
        )

    def _write(self, name: str, data: bytes) -> Path:
        path = self._directory / name
        path.write_bytes(data)
        os.chmod(path, 0o600)
        return path


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


def _name(text: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(text))
    except ValueError:
        return x509.DNSName(text)
