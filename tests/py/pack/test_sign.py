"""Signing packed models: keys, the detached signature, and everything that is refused."""

from __future__ import annotations

import base64
import stat
import subprocess
from pathlib import Path

import pytest

from slmweb.errors import SlmError
from slmweb.pack.pack import pack
from slmweb.pack.sign import (
    PublicKey,
    generate_key,
    public_key_file,
    read_private_key,
    read_public_key,
    sign,
    verify_signature,
)


@pytest.fixture(scope="module")
def key(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("keys") / "release.key"
    generate_key(path)
    return path


@pytest.fixture
def packed(llama: Path, tmp_path: Path, key: Path) -> Path:
    folder = tmp_path / "model"
    pack([llama], folder, key=key)
    return folder


def public(key: Path) -> PublicKey:
    return read_public_key(str(public_key_file(key)))


def refused(folder: Path, key: PublicKey) -> str:
    with pytest.raises(SlmError) as caught:
        verify_signature(folder, key)
    assert caught.value.code == "bad_signature"
    return caught.value.message


def test_the_private_key_is_its_owners_and_the_public_one_everybodys(key: Path) -> None:
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    assert key.read_text().startswith("-----BEGIN PRIVATE KEY-----")
    assert public_key_file(key).read_text().startswith("-----BEGIN PUBLIC KEY-----")
    assert read_public_key(public(key).base64) == public(key)


def test_a_key_is_never_replaced(key: Path, tmp_path: Path) -> None:
    before = key.read_bytes()
    with pytest.raises(SlmError, match="never replaced"):
        generate_key(key)
    assert key.read_bytes() == before
    # Nor is a public key whose private one lies elsewhere.
    other = tmp_path / "other.key"
    public_key_file(other).write_text("mine")
    with pytest.raises(SlmError, match=r"other\.key\.pub exists"):
        generate_key(other)
    assert not other.exists()


def test_what_was_packed_with_a_key_verifies(packed: Path, key: Path) -> None:
    verify_signature(packed, public(key))


def test_openssl_agrees(packed: Path, key: Path, tmp_path: Path) -> None:
    algorithm, key_id, signature = (packed / "manifest.json.sig").read_text().split()
    assert (algorithm, key_id) == ("ed25519", public(key).id)
    (tmp_path / "raw").write_bytes(base64.b64decode(signature))
    command = [
        "openssl", "pkeyutl", "-verify", "-pubin", "-inkey", str(public_key_file(key)),
        "-rawin", "-in", str(packed / "manifest.json"), "-sigfile", str(tmp_path / "raw"),
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "Signature Verified Successfully\n"), done.stderr


def test_one_flipped_byte_is_refused(packed: Path, key: Path) -> None:
    path = packed / "manifest.json"
    data = bytearray(path.read_bytes())
    data[100] ^= 1
    path.write_bytes(data)
    assert "does not fit manifest.json" in refused(packed, public(key))


def test_another_signature_is_refused(packed: Path, key: Path) -> None:
    path = packed / "manifest.json.sig"
    algorithm, key_id, signature = path.read_text().split()
    raw = bytearray(base64.b64decode(signature))
    raw[5] ^= 1
    path.write_text(f"{algorithm} {key_id} {base64.b64encode(raw).decode()}\n")
    assert "does not fit manifest.json" in refused(packed, public(key))
    for text in ("", signature, f"rsa {key_id} {signature}", f"{algorithm} {key_id} {signature}x"):
        path.write_text(text)
        assert "is not a signature of slmweb" in refused(packed, public(key))


def test_another_key_is_refused_by_name(packed: Path, key: Path, tmp_path: Path) -> None:
    other = generate_key(tmp_path / "other.key")
    sentence = refused(packed, other)
    assert public(key).id in sentence
    assert other.id in sentence
    # A signature that lies about its key proves no more.
    path = packed / "manifest.json.sig"
    path.write_text(path.read_text().replace(public(key).id, other.id))
    assert "does not fit manifest.json" in refused(packed, other)


def test_a_missing_signature_is_refused(packed: Path, key: Path) -> None:
    (packed / "manifest.json.sig").unlink()
    assert "is not signed" in refused(packed, public(key))
    sign(packed, read_private_key(key))
    verify_signature(packed, public(key))


def test_packing_again_keeps_a_signature_only_while_it_is_true(
    packed: Path, key: Path, llama: Path
) -> None:
    pack([llama], packed)
    verify_signature(packed, public(key))
    pack([llama], packed, title="Another title")
    assert not (packed / "manifest.json.sig").exists()


def test_what_is_no_key_is_one_sentence(tmp_path: Path, key: Path) -> None:
    nothing = tmp_path / "nothing"
    nothing.write_text("no key")
    rsa = tmp_path / "rsa.pub"
    command = f"openssl genpkey -algorithm X25519 | openssl pkey -pubout -out {rsa}"
    subprocess.run(["sh", "-c", command], check=True, capture_output=True)
    for path in (nothing, public_key_file(key)):
        with pytest.raises(SlmError, match="is not a private Ed25519 key") as caught:
            read_private_key(path)
        assert caught.value.code == "invalid_argument"
    for path in (nothing, key, rsa):
        with pytest.raises(SlmError, match="is not a public Ed25519 key") as caught:
            read_public_key(str(path))
        assert caught.value.code == "invalid_argument"
    with pytest.raises(SlmError, match="cannot read"):
        read_public_key("AAAA")


def test_a_bad_key_stops_before_anything_is_written(llama: Path, tmp_path: Path) -> None:
    with pytest.raises(SlmError, match="cannot read"):
        pack([llama], tmp_path / "model", key=tmp_path / "none.key")
    assert not (tmp_path / "model").exists()
