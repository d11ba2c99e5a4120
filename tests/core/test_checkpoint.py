"""A checkpoint counts only if the log's own key signed exactly this text."""

from __future__ import annotations

import pytest

from bot.core import checkpoint
from bot.core.auditor import verify_export
from bot.core.errors import Fault
from tests.core.audit_log import KEY, LOG, PUBLIC, log_of


def test_a_checkpoint_opens_to_what_was_signed() -> None:
    """Size, root and origin come back from the note."""
    opened = checkpoint.open_checkpoint(checkpoint.sign(7, b"r" * 32, KEY), checkpoint.read_key(PUBLIC))

    assert opened == checkpoint.Checkpoint(LOG, 7, b"r" * 32)


def test_keys_and_notes_are_those_of_other_tools() -> None:
    """The example that Go's note package documents has our key id, and its signature is found true."""
    private = "PRIVATE+KEY+PeterNeumann+c74f20a3+AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz"
    public = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
    signature = "x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM="
    note = (
        "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n\n"
        "\u2014 PeterNeumann " + signature + "\n"
    )

    assert str(checkpoint.public_key(private)) == public
    with pytest.raises(Fault, match="signed a text that is no checkpoint"):
        checkpoint.open_checkpoint(note, checkpoint.read_key(public))


def test_every_changed_byte_of_a_checkpoint_is_noticed() -> None:
    """A checkpoint with one other byte is refused, spare bits of base64 included."""
    note, key = checkpoint.sign(8, b"r" * 32, KEY).encode(), checkpoint.read_key(PUBLIC)

    for at in range(len(note)):
        for flip in (1, 2, 4, 16, 32, 128):
            forged = (note[:at] + bytes([note[at] ^ flip]) + note[at + 1 :]).decode("utf-8", "replace")
            with pytest.raises(Fault):
                checkpoint.open_checkpoint(forged, key)


def signature_line(note: str) -> str:
    return note.rpartition("\n\n")[2]


FORGERIES: dict[str, tuple[str, str]] = {
    "other key, same name": (checkpoint.sign(8, b"r" * 32, checkpoint.new_key(LOG, b"x" * 32)), "is not signed by"),
    "other name": (checkpoint.sign(8, b"r" * 32, checkpoint.new_key("acme/test", b"k" * 32)), "is not signed by"),
    "signature of another text": (
        checkpoint.sign(9, b"r" * 32, KEY).rpartition("\n\n")[0]
        + "\n\n"
        + signature_line(checkpoint.sign(8, b"r" * 32, KEY)),
        "is false",
    ),
    "true and false signature": (
        checkpoint.sign(8, b"r" * 32, KEY) + signature_line(checkpoint.sign(9, b"r" * 32, KEY)),
        "is false",
    ),
    "no signature": (f"{LOG}\n8\n{'A' * 43}=\n\n", "expected a text, an empty line"),
    "no empty line": (checkpoint.sign(8, b"r" * 32, KEY).replace("\n\n", "\n"), "this is no checkpoint"),
    "short root": (checkpoint.sign(8, b"short", KEY), "signed a text that is no checkpoint"),
    "negative size": (checkpoint.sign(-8, b"r" * 32, KEY), "signed a text that is no checkpoint"),
    "empty": ("", "this is no checkpoint"),
}


@pytest.mark.parametrize("forgery", FORGERIES)
def test_a_forged_checkpoint_is_refused(forgery: str) -> None:
    """A checkpoint counts only if the log's own key signed exactly this text."""
    note, why = FORGERIES[forgery]
    report = verify_export(log_of(8).lines(), [note], PUBLIC)

    assert why in (report.fault or "")
    assert report.signer is None


def test_signatures_of_witnesses_are_allowed() -> None:
    """Others may sign the same note, before or after the log."""
    note = checkpoint.sign(8, b"r" * 32, KEY)
    text, _, mine = note.rpartition("\n\n")
    witness = signature_line(checkpoint.sign(8, b"r" * 32, checkpoint.new_key("witness", b"w" * 32)))

    for signatures in (mine + witness, witness + mine):
        assert checkpoint.open_checkpoint(f"{text}\n\n{signatures}", checkpoint.read_key(PUBLIC)).size == 8


@pytest.mark.parametrize("text", ["", "acme", PUBLIC.replace("acme", "acne"), PUBLIC[:-4], PUBLIC + "A", KEY])
def test_a_damaged_public_key_is_refused(text: str) -> None:
    """A key that was cut, mixed up or mistaken for the private one gives a sentence, not a verdict."""
    report = verify_export(log_of(1).lines(), key=text)

    assert "public key" in (report.fault or "")


@pytest.mark.parametrize("text", ["", PUBLIC, KEY[:-4]])
def test_a_damaged_private_key_is_refused(text: str) -> None:
    """Nothing is ever signed with half a key."""
    with pytest.raises(Fault, match="no private key"):
        checkpoint.sign(1, b"r" * 32, text)


@pytest.mark.parametrize("name", ["", "two words", "a+b", "a\nb"])
def test_a_key_name_that_a_note_cannot_hold_is_refused(name: str) -> None:
    """A key's name fits into the note's lines."""
    with pytest.raises(Fault, match="can't name a key"):
        checkpoint.new_key(name, b"k" * 32)
