"""What stands in the two files of a pair."""

from datetime import datetime
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from configs.schema.node import TlsPair
from kit.errors import SettingsError

_LARGEST = 2**20


def checked(files: TlsPair, setting: str) -> tuple[tuple[str, ...], datetime, datetime]:
    """Its dNSNames in lower case, its beginning and end. Blocks. SettingsError names `setting` and the file that is
    wrong: unreadable, no PEM, or a key of another certificate."""
    certificate = _certificate(files.cert, f"{setting}.cert")
    where = f"`{setting}.key`: {files.key}"
    try:
        key = load_pem_private_key(_read(files.key, f"{setting}.key"), None)
    except TypeError:
        raise SettingsError(f"{where}: an encrypted key cannot be used") from None
    except (ValueError, UnsupportedAlgorithm):
        raise SettingsError(f"{where}: no private key in PEM") from None
    if key.public_key() != certificate.public_key():
        raise SettingsError(f"{where}: does not belong to the certificate in {files.cert}")
    return _names(certificate), certificate.not_valid_before_utc, certificate.not_valid_after_utc


def _certificate(path: Path, setting: str) -> x509.Certificate:
    """The first certificate of a file: the node's own, the chain behind it."""
    try:
        return x509.load_pem_x509_certificates(_read(path, setting))[0]
    except ValueError:
        raise SettingsError(f"`{setting}`: {path}: no certificate in PEM") from None


def _names(certificate: x509.Certificate) -> tuple[str, ...]:
    try:
        extension = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    except (x509.ExtensionNotFound, ValueError):
        return ()
    return tuple(name.lower() for name in extension.value.get_values_for_type(x509.DNSName))


def _read(path: Path, setting: str) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(_LARGEST)
    except OSError as error:
        raise SettingsError(f"`{setting}`: {path}: {error.strerror}") from None
