"""Signed checkpoints: the log's size and root, kept outside the database, so that a rewritten log can't pass.

The form is C2SP tlog-checkpoint in a C2SP signed note with Ed25519; keys are the one-line texts that Go's
``sumdb/note`` reads and writes. The key's name is the checkpoint's origin and the log's id.
"""

from __future__ import annotations

import base64
import hashlib
import re
from dataclasses import dataclass

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from bot.core.errors import Fault
from bot.core.merkle import HASH_BYTES

ED25519 = b"\x01"
KEY_ID_BYTES = 4
NAME = re.compile(r"[^\s+]{1,200}")
SIZE = re.compile(r"0|[1-9][0-9]{0,15}")


@dataclass(frozen=True)
class Checkpoint:
    """The log ``origin`` had ``size`` events, and this was their root."""

    origin: str
    size: int
    root: bytes


@dataclass(frozen=True)
class PublicKey:
    """Who signs a log's checkpoints. ``id`` is 8 hex digits over name and key."""

    name: str
    raw: bytes

    @property
    def id(self) -> str:
        return _key_id(self.name, self.raw).hex()

    def __str__(self) -> str:
        return f"{self.name}+{self.id}+{_b64(ED25519 + self.raw)}"


def new_key(name: str, seed: bytes) -> str:
    """The private key as text, from 32 random bytes. Raises Fault if the name has spaces or a plus sign."""
    if not NAME.fullmatch(name):
        raise Fault(f"{name!r} can't name a key: use 1 to 200 characters without spaces and without +")
    public = Ed25519PrivateKey.from_private_bytes(seed).public_key().public_bytes_raw()
    return f"PRIVATE+KEY+{name}+{_key_id(name, public).hex()}+{_b64(ED25519 + seed)}"


def public_key(private: str) -> PublicKey:
    """The half of ``new_key``'s text that may be given away (``str`` of it is the text). Raises Fault."""
    name, secret = _private(private)
    return PublicKey(name, secret.public_key().public_bytes_raw())


def read_key(text: str) -> PublicKey:
    """A public key from its text. Raises Fault."""
    parts = text.strip().split("+", 2)
    raw = _unb64(parts[2]) if len(parts) == 3 and NAME.fullmatch(parts[0]) else None
    if raw is None or len(raw) != 1 + HASH_BYTES or raw[:1] != ED25519:
        raise Fault("this is no public key of a log: expected one line NAME+ID+KEY with an Ed25519 key")
    key = PublicKey(parts[0], raw[1:])
    if key.id != parts[1]:
        raise Fault(f"the public key of {key.name} is damaged: its id is {key.id}, the text says {parts[1]!r}")
    return key


def sign(size: int, root: bytes, private: str) -> str:
    """The signed note for a log of ``size`` events under ``root``; its origin is the key's name. Raises Fault."""
    name, secret = _private(private)
    text = f"{name}\n{size}\n{_b64(root)}\n"
    key_id = _key_id(name, secret.public_key().public_bytes_raw())
    return f"{text}\n\u2014 {name} {_b64(key_id + secret.sign(text.encode()))}\n"


def open_checkpoint(note: str, key: PublicKey) -> Checkpoint:
    """What ``key`` signed. Signatures by others (witnesses) are allowed and ignored. Raises Fault."""
    text, gap, signatures = note.rpartition("\n\n")
    if not gap or not signatures.endswith("\n"):
        raise Fault("this is no checkpoint: expected a text, an empty line, and lines that begin with \u2014")
    text += "\n"
    raw = [_signature(line, key) for line in signatures[:-1].split("\n")]
    ours = [signature for signature in raw if signature is not None]
    if not ours:
        raise Fault(f"the checkpoint is not signed by {key.name} (key {key.id})")
    for signature in ours:
        try:
            Ed25519PublicKey.from_public_bytes(key.raw).verify(signature, text.encode())
        except InvalidSignature:
            raise Fault(f"the checkpoint's signature by {key.name} (key {key.id}) is false") from None
    return _parse(text, key)


def _parse(text: str, key: PublicKey) -> Checkpoint:
    lines = text[:-1].split("\n")
    origin, size, root = [*lines, "", ""][:3]
    raw = _unb64(root)
    if "" in lines or origin != key.name or not SIZE.fullmatch(size) or raw is None or len(raw) != HASH_BYTES:
        raise Fault(f"{key.name} signed a text that is no checkpoint of its log: expected origin, size and root")
    return Checkpoint(origin, int(size), raw)


def _signature(line: str, key: PublicKey) -> bytes | None:
    """The signature if the line is one by ``key``; None if it is somebody else's."""
    dash, name, encoded, *rest = [*line.split(" "), "", ""]
    raw = _unb64(encoded)
    if dash != "\u2014" or not NAME.fullmatch(name) or any(rest) or raw is None or len(raw) <= KEY_ID_BYTES:
        raise Fault(f"this is no checkpoint: {line[:80]!r} is no signature line")
    mine = name == key.name and raw[:KEY_ID_BYTES].hex() == key.id
    return raw[KEY_ID_BYTES:] if mine else None


def _private(text: str) -> tuple[str, Ed25519PrivateKey]:
    parts = text.strip().split("+", 4)
    raw = _unb64(parts[4]) if len(parts) == 5 and parts[:2] == ["PRIVATE", "KEY"] else None
    if raw is None or len(raw) != 1 + HASH_BYTES or raw[:1] != ED25519:
        raise Fault("this is no private key of a log: expected one line PRIVATE+KEY+NAME+ID+KEY with an Ed25519 key")
    return parts[2], Ed25519PrivateKey.from_private_bytes(raw[1:])


def _key_id(name: str, public: bytes) -> bytes:
    return hashlib.sha256(name.encode() + b"\n" + ED25519 + public).digest()[:KEY_ID_BYTES]


def _b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _unb64(text: str) -> bytes | None:
    """None unless ``text`` is the one way to write its bytes: decoders ignore spare bits, a verifier must not."""
    try:
        data = base64.b64decode(text, validate=True)
    except ValueError:
        return None
    return data if _b64(data) == text else None
