"""Signatures of packed models: who made a manifest, and so every byte that it names.

Owns the key files and the form of a detached signature. A key is an Ed25519 key
(RFC 8032) in PEM, private ones as PKCS #8 and public ones as SubjectPublicKeyInfo,
so that openssl reads them too. `manifest.json.sig` is one line of ASCII,

    ed25519 KEY_ID SIGNATURE

where SIGNATURE is the base64 of 64 bytes over the exact bytes of manifest.json,
and KEY_ID tells which key to try: the first 16 hex digits of the SHA-256 of the
public key's DER. The id proves nothing; it is there for the sentence that says
what went wrong. A signature says who, not when: an older signed manifest is as
well signed as a newer one.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import os
import re
from dataclasses import dataclass
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING

from ..atomic import atomic_file
from ..errors import SlmError, os_reason
from .manifest import MANIFEST

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import (
        Ed25519PrivateKey,
        Ed25519PublicKey,
    )

SIGNATURE = MANIFEST + ".sig"

_LINE = re.compile(r"ed25519 ([0-9a-f]{16}) ([A-Za-z0-9+/]{86}==)\n?")
_MOST_KEY_BYTES = 10_000


@dataclass(frozen=True)
class PublicKey:
    """`der` is the SubjectPublicKeyInfo of an Ed25519 key."""

    der: bytes

    @property
    def base64(self) -> str:
        """The body of the PEM file in one line: how pages are told the key."""
        return base64.b64encode(self.der).decode("ascii")

    @property
    def id(self) -> str:
        return hashlib.sha256(self.der).hexdigest()[:16]

    def verify(self, manifest: bytes, signature: str, where: object) -> None:
        """Returns if `signature`, the content of a .sig file, is this key's over `manifest`.

        Raises SlmError "bad_signature", whose sentence `where` opens.
        """
        from cryptography.exceptions import InvalidSignature

        match = _LINE.fullmatch(signature)
        if match is None:
            raise SlmError(
                "bad_signature", f"{where} is not a signature of slmweb; sign the model again"
            )
        if match[1] != self.id:
            raise SlmError(
                "bad_signature",
                f"{where} is by the key {match[1]}, expected was {self.id}; "
                "sign the model with the right key, or name the key that signed it",
            )
        try:
            _load_public(self.der).verify(base64.b64decode(match[2]), manifest)
        except InvalidSignature:
            raise SlmError(
                "bad_signature",
                f"{where} does not fit {MANIFEST}, one of them was changed; "
                "get the model again from where it was signed",
            ) from None


def generate_key(path: Path) -> PublicKey:
    """Writes a new private key to `path`, for its owner's eyes only, and the public one beside it.

    The public key's file has ".pub" after the name. A file that is there already
    is never replaced. Raises SlmError "unwritable".
    """
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import (
        Encoding,
        NoEncryption,
        PrivateFormat,
        PublicFormat,
    )

    key = Ed25519PrivateKey.generate()
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    public = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    pub = public_key_file(path)
    try:
        if pub.exists():
            raise FileExistsError
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        raise SlmError(
            "unwritable",
            f"{pub if pub.exists() else path} exists already, and a key is never replaced; "
            "choose another name",
        ) from None
    except OSError as error:
        raise SlmError("unwritable", f"cannot write {path}: {os_reason(error)}") from None
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(private)
            file.flush()
            os.fsync(file.fileno())
        with atomic_file(pub) as out:
            out.write(public)
    except OSError as error:
        path.unlink(missing_ok=True)
        raise SlmError("unwritable", f"cannot write {path}: {os_reason(error)}") from None
    except BaseException:
        path.unlink(missing_ok=True)
        raise
    return public_key_of(key)


def public_key_file(path: Path) -> Path:
    return path.with_name(path.name + ".pub")


def read_private_key(path: Path) -> Ed25519PrivateKey:
    """Raises SlmError "unreadable", or "invalid_argument" for what is no private Ed25519 key."""
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    try:
        key = load_pem_private_key(_read(path), None)
        if isinstance(key, Ed25519PrivateKey):
            return key
    except (ValueError, TypeError, UnsupportedAlgorithm):
        pass
    raise SlmError(
        "invalid_argument",
        f"{path} is not a private Ed25519 key in PEM without a passphrase; "
        "make one with `slmweb keygen -o KEY`",
    )


def read_public_key(key: str) -> PublicKey:
    """A public key from its file (PEM), or from the base64 of its DER itself.

    Raises SlmError "unreadable", or "invalid_argument" for what is no public Ed25519 key.
    """
    text = key if re.fullmatch(r"[A-Za-z0-9+/]{59}=", key) else None
    if text is None:
        pem = _read(Path(key)).decode("ascii", "replace")
        match = re.fullmatch(
            r"\s*-----BEGIN PUBLIC KEY-----([A-Za-z0-9+/=\s]+)-----END PUBLIC KEY-----\s*", pem
        )
        text = "".join(match[1].split()) if match else ""
    with contextlib.suppress(ValueError):
        der = base64.b64decode(text, validate=True)
        _load_public(der)
        return PublicKey(der)
    raise SlmError(
        "invalid_argument",
        f"{key} is not a public Ed25519 key; `slmweb keygen -o KEY` writes one to KEY.pub",
    )


def sign(folder: Path, key: Ed25519PrivateKey) -> PublicKey:
    """Writes the signature of a packed model's manifest beside it; returns the key that fits.

    Raises SlmError "unreadable" and "unwritable".
    """
    manifest = _read(folder / MANIFEST, limit=None)
    public = public_key_of(key)
    signature = base64.b64encode(key.sign(manifest)).decode("ascii")
    with atomic_file(folder / SIGNATURE) as out:
        out.write(f"ed25519 {public.id} {signature}\n".encode("ascii"))
    return public


def verify_signature(folder: Path, key: PublicKey) -> None:
    """Raises SlmError "bad_signature" unless the manifest is signed by `key`, or "unreadable"."""
    manifest = _read(folder / MANIFEST, limit=None)
    path = folder / SIGNATURE
    if not path.is_file():
        raise SlmError(
            "bad_signature",
            f"{folder / MANIFEST} is not signed, expected was a signature by the key {key.id}; "
            f"run `slmweb sign {quote(str(folder))} --key KEY`",
        )
    key.verify(manifest, _read(path).decode("ascii", "replace"), path)


def _load_public(der: bytes) -> Ed25519PublicKey:
    """Raises ValueError for what is no Ed25519 key."""
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
    from cryptography.hazmat.primitives.serialization import load_der_public_key

    try:
        key = load_der_public_key(der)
    except UnsupportedAlgorithm as error:
        raise ValueError(str(error)) from None
    if not isinstance(key, Ed25519PublicKey):
        raise ValueError("another kind of key")
    return key


def public_key_of(key: Ed25519PrivateKey) -> PublicKey:
    """The other half of the pair."""
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    return PublicKey(key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo))


def _read(path: Path, limit: int | None = _MOST_KEY_BYTES) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read() if limit is None else file.read(limit)
    except OSError as error:
        raise SlmError("unreadable", f"cannot read {path}: {os_reason(error)}") from None
