"""Keys of people and machines as files: `<name>.key` is secret, `<name>.pub` is for everybody.

Guarantees: a key file is made once, readable by its owner alone, and never written over; Ed25519 throughout. With a
passphrase the secret is encrypted (PKCS #8). Refuses to know what a key may sign; the roots of the repositories say.
"""

from __future__ import annotations

import json
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    KeySerializationEncryption,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from securesystemslib.signer import CryptoSigner, SSlibKey

from edge_runtime.contracts.errors import SigningError, StorageError, StorageFault
from edge_runtime.storage.durable import make_file, make_folder

SECRET_SUFFIX = ".key"
PUBLIC_SUFFIX = ".pub"
LEAST_PASSPHRASE_CHARACTERS = 12


def create_key(folder: Path, name: str, passphrase: str | None = None) -> SSlibKey:
    """Make `<name>.key` and `<name>.pub` in `folder`; return the public half.

    Raises:
        SigningError: the key is there already, or the passphrase is short.
        StorageError: it can't be kept; a secret half without the public one may be there.
    """
    if passphrase is not None and len(passphrase) < LEAST_PASSPHRASE_CHARACTERS:
        raise SigningError(name, f"a passphrase needs at least {LEAST_PASSPHRASE_CHARACTERS} characters")
    make_folder(folder)
    private = Ed25519PrivateKey.generate()
    public = CryptoSigner(private).public_key
    encryption: KeySerializationEncryption = (
        NoEncryption() if passphrase is None else BestAvailableEncryption(passphrase.encode())
    )
    secret = private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption)
    _write_once(folder / f"{name}{SECRET_SUFFIX}", secret, 0o600)
    text = json.dumps({"keyid": public.keyid, **public.to_dict()}, indent=1, sort_keys=True)
    _write_once(folder / f"{name}{PUBLIC_SUFFIX}", text.encode() + b"\n", 0o644)
    assert isinstance(public, SSlibKey)
    return public


def load_signer(path: Path, passphrase: str | None = None) -> CryptoSigner:
    """The secret key in the file `path`.

    Raises:
        SigningError: not there, not a key, not Ed25519, or the passphrase is missing or wrong.
    """
    try:
        private = load_pem_private_key(path.read_bytes(), None if passphrase is None else passphrase.encode())
    except OSError as error:
        raise SigningError(str(path), f"{error.strerror}") from error
    except TypeError as error:
        hint = "needs its passphrase" if passphrase is None else "has no passphrase, and one was given"
        raise SigningError(str(path), hint) from error
    except ValueError as error:
        raise SigningError(str(path), "is no key, or the passphrase is wrong") from error
    if not isinstance(private, Ed25519PrivateKey):
        raise SigningError(str(path), "is no Ed25519 key")
    return CryptoSigner(private)


def read_passphrase(path: Path | None) -> str | None:
    """The first line of the file `path`; None without one.

    Raises:
        SigningError: it can't be read, or is no text.
    """
    if path is None:
        return None
    try:
        return path.read_text(encoding="utf-8").partition("\n")[0]
    except OSError as error:
        raise SigningError(str(path), f"{error.strerror}") from error
    except UnicodeDecodeError as error:
        raise SigningError(str(path), "is no text") from error


def load_public(path: Path) -> SSlibKey:
    """The public key in the file `path`.

    Raises:
        SigningError: not there, or not a public key that was made here.
    """
    try:
        data = json.loads(path.read_bytes())
        key = SSlibKey.from_dict(data.pop("keyid"), data)
    except OSError as error:
        raise SigningError(str(path), f"{error.strerror}") from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise SigningError(str(path), "is no public key (the file that ends in .pub)") from error
    assert isinstance(key, SSlibKey)
    return key


def _write_once(path: Path, data: bytes, mode: int) -> None:
    try:
        make_file(path, data, mode)
    except StorageError as error:
        if error.fault is not StorageFault.IN_THE_WAY:
            raise
        raise SigningError(str(path), "is there already; a key is never written over") from error
