"""What the commands print and write when nothing is wrong."""

from __future__ import annotations

import contextlib
import json
import math
import os
import pty
import select
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from slmweb.core import Model, Site
from tests.goldens.vocabularies import corpus
from tests.parity.test_sae import params
from tests.py.cli.program import slmweb


def run(*arguments: str, text: bytes = b"") -> bytes:
    done = slmweb(*arguments, text=text)
    assert done.returncode == 0, done.stderr.decode()
    assert done.stderr == b""
    return done.stdout


def run_json(*arguments: str, text: bytes = b"") -> Any:
    return json.loads(run(*arguments, "--json", text=text))


def test_inspect_prints_what_the_model_is(qwen2: Path) -> None:
    out = run("inspect", str(qwen2)).decode()
    for words in ("qwen2", "106,240", "F32", "512 tokens", "apache-2.0", "<|im_start|>"):
        assert words in out, words


def test_inspect_json_is_the_description(qwen2: Path) -> None:
    info = run_json("inspect", str(qwen2))
    assert (info["architecture"], info["parameters"], info["n_ctx_train"]) == (
        "qwen2", 106240, 512)  # fmt: skip
    assert info["license"] == "apache-2.0"
    assert "im_start" in info["chat_template"]
    assert set(info["types"]) == {"F32"}
    assert "tensors" not in info
    tensors = run_json("inspect", str(qwen2), "--tensors")["tensors"]
    assert {"name", "type", "shape", "offset", "size"} <= set(tensors[0])


def test_look_shows_every_layer_at_the_last_token(gemma3: Path) -> None:
    out = run("look", str(gemma3), "the cat", "--top", "2").decode().splitlines()
    assert out[0].startswith("behind each layer, at the last token, ")
    assert [line.split()[:2] for line in out[1:]] == [["layer", str(i)] for i in range(7)]
    assert all(line.count("%") == 2 for line in out[1:])


def test_look_at_a_layer_is_the_lens_on_every_token(gemma3: Path) -> None:
    found = run_json("look", str(gemma3), "the cat", "--layer", "3", "--top", "3")
    ids = [token["id"] for token in found["tokens"]]
    with Model.open(gemma3) as model, model.session(32) as session:
        assert ids == model.tokenizer.encode("the cat", special=True, bos=True)
        session.tap([(Site.RESIDUAL, 3)])
        session.eval(ids, "none")
        logits = session.lens(session.tapped(0))
    assert [(each["layer"], each["token"]) for each in found["lens"]] == [
        (3, i) for i in range(len(ids))
    ]
    for row, each in zip(logits, found["lens"], strict=True):
        assert [token["id"] for token in each["next"]] == np.argsort(-row)[:3].tolist()


def test_an_sae_is_written_and_looked_through(gemma3: Path, tmp_path: Path) -> None:
    params(Site.RESIDUAL).as_npz(tmp_path / "params.npz")
    (tmp_path / "labels.jsonl").write_text('{"index": "5", "description": "all that is five"}\n')
    side = str(tmp_path / "side.gguf")
    told = run_json(
        *("sae", str(tmp_path / "params.npz"), "--model", str(gemma3), "-o", side),
        *("--site", "residual", "--layer", "3", "--labels", str(tmp_path / "labels.jsonl")),
    )
    assert (told["site"], told["layer"], told["features"], told["labels"]) == (
        "residual", 3, 403, 1)  # fmt: skip
    found = run_json("look", str(gemma3), "the cat", "--sae", side, "--top", "403")
    assert found["sae"] == {
        "name": "layer 3 residual, 403 features",
        "site": "residual",
        "layer": 3,
    }
    by_feature = [{f["feature"]: f for f in of_token} for of_token in found["features"]]
    assert len(by_feature) == len(found["tokens"])
    one = run_json("look", str(gemma3), "the cat", "--sae", side, "--feature", "5", "--top", "3")
    assert one["feature"]["label"] == "all that is five"
    assert one["feature"]["activations"] == [
        of_token.get(5, {"activation": 0})["activation"] for of_token in by_feature
    ]
    assert len(one["feature"]["promotes"]) == 3
    text = run("look", str(gemma3), "the cat", "--sae", side, "--feature", "5").decode()
    assert text.startswith("layer 3, residual, feature 5: all that is five")
    lines = run("look", str(gemma3), "the cat", "--sae", side, "--top", "2").decode().splitlines()
    assert lines[0] == "layer 3, residual:"
    assert len(lines) > len(found["tokens"])


def test_a_chat_is_steered_by_features(qwen2: Path, tmp_path: Path) -> None:
    with Model.open(qwen2, weights=False) as model:
        width = model.info["n_embd"] or 0
    random = np.random.default_rng(5)
    np.savez(
        tmp_path / "params.npz",
        W_enc=random.standard_normal((width, 8)),
        b_enc=np.zeros(8),
        W_dec=random.standard_normal((8, width)),
        threshold=np.ones(8),
    )
    side = str(tmp_path / "side.gguf")
    run("sae", str(tmp_path), "--model", str(qwen2), "-o", side, "--site", "residual",
        "--layer", "0")  # fmt: skip
    chat = ("chat", str(qwen2), "-p", "?", "--seed", "5", "--max-tokens", "12")
    plain = run_json(*chat)["content"]
    assert run_json(*chat, "--sae", side, "--steer", "3:0")["content"] == plain
    assert run_json(*chat, "--sae", side, "--steer", "3:1e3")["content"] != plain
    both = ("--steer", "3:1e3", "--steer", "3:-1e3")
    assert run_json(*chat, "--sae", side, *both)["content"] == plain


@pytest.mark.parametrize("special", [True, False])
@pytest.mark.parametrize(
    "text", [b"", b" \n a <|im_start|> </s>\r\n", b"\xef\xbb\xbf\xff\xfe\0" + "語 🦔 é".encode()]
)
def test_tokenize_takes_stdin_byte_for_byte(llama: Path, text: bytes, special: bool) -> None:
    with Model.open(llama, weights=False) as model:
        expected = model.tokenizer.encode(text, special=special)
    flags = [] if special else ["--no-special"]
    assert run_json("tokenize", str(llama), *flags, text=text) == {"ids": expected}


def test_tokenize_without_json_shows_the_pieces(qwen2: Path) -> None:
    lines = run("tokenize", str(qwen2), "--text", "a<|im_end|>").decode().splitlines()
    assert [line.split() for line in lines] == [["97", "'a'"], ["267", "'<|im_end|>'"]]


def test_tokenize_can_leave_bos_out(llama: Path) -> None:
    with_bos = run_json("tokenize", str(llama), text=b"the")["ids"]
    without = run_json("tokenize", str(llama), "--no-bos", text=b"the")["ids"]
    assert with_bos == [1, *without]


def is_utf8(data: bytes) -> bool:
    return data.decode("utf-8", "replace").encode() == data


def test_tokens_survive_the_whole_corpus_and_back(qwen2: Path) -> None:
    text = b"\n".join(case.text for case in corpus() if is_utf8(case.text))
    ids = run("tokenize", str(qwen2), "--json", "--no-special", text=text)
    assert run("detokenize", str(qwen2), text=ids) == text


@pytest.mark.parametrize("ids", ["97,98", "97 98", "[97, 98]", '{"ids": [97, 98]}', "97\n98\n"])
def test_detokenize_takes_ids_in_every_form(qwen2: Path, ids: str) -> None:
    assert run("detokenize", str(qwen2), text=ids.encode()) == b"ab"


def test_detokenize_shows_or_hides_special_tokens(qwen2: Path) -> None:
    assert run("detokenize", str(qwen2), "--ids", "97,267") == b"a<|im_end|>"
    assert run("detokenize", str(qwen2), "--ids", "97,267", "--no-special") == b"a"
    assert run_json("detokenize", str(qwen2), "--ids", "97,267") == {"text": "a<|im_end|>"}


def test_logits_are_float32_of_every_id(gemma3: Path, tmp_path: Path) -> None:
    out = tmp_path / "logits.npy"
    out.write_bytes(b"old")
    ids = [(11 * i) % 300 for i in range(40)]
    printed = run_json(
        "logits", str(gemma3), "--ids", ",".join(map(str, ids)), "--out", str(out)
    )  # fmt: skip
    assert printed == {"out": str(out), "shape": [40, 307]}
    logits = np.load(out)
    assert (logits.dtype, logits.shape) == (np.float32, (40, 307))
    with Model.open(gemma3) as model, model.session(40) as session:
        assert np.array_equal(logits, np.concatenate(list(session.logits(ids))))
    assert [path.name for path in tmp_path.iterdir()] == ["logits.npy"]


def test_logits_go_into_a_device_without_replacing_it(qwen2: Path) -> None:
    before = Path("/dev/null").stat()
    run("logits", str(qwen2), "--ids", "1,2", "--out", "/dev/null")
    assert Path("/dev/null").stat().st_rdev == before.st_rdev
    assert Path("/dev/null").stat().st_ino == before.st_ino


def test_perplexity_prints_two_numbers(llama: Path, tmp_path: Path) -> None:
    text = tmp_path / "text.txt"
    text.write_bytes(b"the hen and the otter are at the inn. " * 4)
    result = run_json("perplexity", str(llama), str(text))
    assert set(result) == {"perplexity", "tokens"}
    with Model.open(llama, weights=False) as model:
        n = len(model.tokenizer.encode(text.read_bytes(), special=False))
    assert result["tokens"] == n - 1
    assert 1 < result["perplexity"] < math.inf
    assert run_json("perplexity", str(llama), "-", text=text.read_bytes()) == result
    printed = run("perplexity", str(llama), str(text), "--n-ctx", "32").decode()
    assert f"{n // 32} windows of up to 32" in printed


def test_bench_measures(qwen2: Path) -> None:
    result = run_json("bench", str(qwen2), "--prompt", "40", "--generate", "8", "--repeat", "2")
    assert result["prefill_tokens_per_second"] > 0
    assert result["decode_tokens_per_second"] > 0
    assert (result["variant"], result["threads"]) == ("relaxed", 1)
    assert result["memory_bytes"] > 500_000
    assert "tokens/s" in run("bench", str(qwen2), "--repeat", "1").decode()


def test_pack_writes_where_it_is_told(llama: Path, tmp_path: Path) -> None:
    folder = tmp_path / "my-model"
    result = run_json("pack", str(llama), "-o", str(folder), "--verify", "--sampling", "top_p=0.9")
    assert (result["name"], result["verified"], result["chunks"]) == ("my-model", True, 2)
    manifest = json.loads((folder / "manifest.json").read_text())
    assert (manifest["name"], manifest["sampling"]) == ("my-model", {"top_p": 0.9})
    printed = run("pack", str(llama), "-o", str(tmp_path / "b"), "--name", "x").decode()
    assert "tiny llama (apache-2.0)" in printed


def test_a_model_is_signed_and_verified(llama: Path, tmp_path: Path) -> None:
    key, folder = tmp_path / "release.key", tmp_path / "my-model"
    made = run_json("keygen", "-o", str(key))
    assert made["public_key_file"] == f"{key}.pub"
    packed = run_json("pack", str(llama), "-o", str(folder), "--model-version", "2026-11")
    assert (packed["version"], packed["signed"]) == ("2026-11", False)
    assert "not signed" in run("verify", str(folder)).decode()
    failed = slmweb("verify", str(folder), "--key", f"{key}.pub")
    assert failed.returncode == 1
    assert failed.stderr.decode().startswith("slmweb: ")
    assert "is not signed" in failed.stderr.decode()
    assert run_json("sign", str(folder), "--key", str(key))["key_id"] == made["id"]
    for public in (f"{key}.pub", made["public_key"]):
        verified = run_json("verify", str(folder), "--key", public)
        assert (verified["root"], verified["signed_by"]) == (packed["root"], made["id"])
    again = run("pack", str(llama), "-o", str(folder), "--title", "Other", "--sign", str(key))
    assert "in 2 chunks, signed" in again.decode()
    assert made["id"] in run("verify", str(folder), "--key", f"{key}.pub").decode()


def test_version() -> None:
    assert run("--version").startswith(b"slmweb 0.")


def test_doctor_tells_what_is_there_and_what_is_not(tmp_path: Path) -> None:
    done = slmweb("doctor", "--json", env={"PATH": str(tmp_path)})
    report = json.loads(done.stdout)
    checks = {check["name"]: check for check in report["checks"]}
    assert checks["python"]["ok"]
    assert checks["wasm simd"]["ok"]
    assert not checks["node"]["ok"]
    assert "apt-get install nodejs" in checks["node"]["fix"]
    assert not checks["chromium"]["needed"], "only tests need a browser"
    assert (done.returncode, report["ok"]) == (1, False)
    text = slmweb("doctor", env={"PATH": str(tmp_path)})
    assert b"MISSING  node" in text.stdout
    assert text.stderr.count(b"\n") == 1


def ask(path: Path, *arguments: str, text: bytes = b"") -> list[Any]:
    out = run("chat", str(path), "--json", "--max-tokens", "6", *arguments, text=text)
    return [json.loads(line) for line in out.splitlines()]


def test_chat_answers_a_prompt(qwen2: Path) -> None:
    (answer,) = ask(qwen2, "-p", "hello", "--seed", "5")
    usage = answer["usage"]
    assert usage["completion_tokens"] <= 6
    assert usage["total_tokens"] == usage["prompt_tokens"] + usage["completion_tokens"]
    assert answer["finish_reason"] in ("stop", "length")
    assert ask(qwen2, "-p", "hello", "--seed", "5")[0]["content"] == answer["content"]
    plain = run("chat", str(qwen2), "--max-tokens", "6", "-p", "hello", "--seed", "5")
    assert plain.decode() == answer["content"] + "\n"


def test_the_second_question_evaluates_only_what_is_new(qwen2: Path) -> None:
    first, second = ask(qwen2, "--temperature", "0", text=b"the hen\n\nis in\n")
    assert first["usage"]["prompt_tokens_details"]["cached_tokens"] == 0
    # The first prompt ends in the tokens with which every answer begins.
    cached = second["usage"]["prompt_tokens_details"]["cached_tokens"]
    assert cached >= first["usage"]["prompt_tokens"]


def test_an_answer_that_was_cut_goes_on(qwen2: Path) -> None:
    chat = ("chat", str(qwen2), "--json", "--temperature", "0", "--max-tokens", "3")
    done = slmweb(*chat, text=b"hi\n/continue\n")
    cut, rest = (json.loads(line) for line in done.stdout.splitlines())
    assert rest["content"].startswith(cut["content"])
    # No turn was closed and none opened: what was cached is the question and its answer.
    assert rest["usage"]["prompt_tokens"] > cut["usage"]["prompt_tokens"]
    cached = rest["usage"]["prompt_tokens_details"]["cached_tokens"]
    assert cached >= cut["usage"]["prompt_tokens"]
    alone = slmweb(*chat, text=b"/continue\n")
    assert alone.returncode != 0
    assert b"no answer to continue" in alone.stderr


def test_a_system_prompt_and_a_reset_change_what_is_asked(qwen2: Path) -> None:
    plain = ask(qwen2, text=b"hi\n")[0]["usage"]["prompt_tokens"]
    system = ask(qwen2, "--system", "be kind", text=b"hi\n")[0]["usage"]["prompt_tokens"]
    assert system > plain
    done = slmweb(
        "chat", str(qwen2), "--json", "--max-tokens", "3", text=b"hi\n/reset\nhi\n/exit\nx"
    )
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    assert [answer["usage"]["prompt_tokens"] for answer in answers] == [plain, plain]


class Terminal:
    """The chat on a pseudo-terminal, driven as a person would."""

    def __init__(self, *arguments: str) -> None:
        self.master, slave = pty.openpty()
        self.process = subprocess.Popen(
            [sys.executable, "-m", "slmweb", *arguments],
            stdin=slave,
            stdout=slave,
            stderr=slave,
            env={**os.environ, "TERM": "dumb", "PYTHONWARNINGS": "error"},
            start_new_session=True,
        )
        os.close(slave)
        self.seen = ""

    def __enter__(self) -> Terminal:
        return self

    def __exit__(self, *failure: object) -> None:
        self.process.kill()
        self.process.wait()
        os.close(self.master)

    def read(self, seconds: float) -> bool:
        """Takes what comes within `seconds`; whether anything did."""
        ready, _, _ = select.select([self.master], [], [], max(0, seconds))
        if ready:
            with contextlib.suppress(OSError):  # the other end is gone
                self.seen += os.read(self.master, 65536).decode("utf-8", "replace")
        return bool(ready)

    def until(self, words: str) -> str:
        """Reads until `words` have come; takes everything up to them."""
        deadline = time.monotonic() + 30
        while words not in self.seen:
            arrived = self.read(deadline - time.monotonic())
            alive = arrived and self.process.poll() is None
            assert alive or words in self.seen, f"{words!r} did not come: {self.seen!r}"
        found, _, self.seen = self.seen.partition(words)
        return found

    def type(self, text: str) -> None:
        os.write(self.master, text.encode())

    def interrupt(self) -> None:
        """Ctrl-C at the prompt, again if need be.

        CPython's readline loop misses a signal that comes just before it waits;
        a person presses the key again too.
        """
        for _ in range(30):
            self.process.send_signal(signal.SIGINT)
            if self.read(1) or self.process.poll() is not None:
                return
        raise AssertionError("Ctrl-C was not heard")

    def end(self) -> int:
        return self.process.wait(timeout=30)


def test_ctrl_c_stops_the_answer_and_not_the_program(qwen2: Path) -> None:
    # Long enough to be stopped: the model knows no end that it would reach first.
    with Terminal("chat", str(qwen2), "--n-ctx", "100000", "--temperature", "0") as terminal:
        terminal.until("is ready")
        terminal.until("> ")
        terminal.type("hello\n")
        terminal.until("hello\r\n")
        while not terminal.seen:  # the answer's first characters
            assert terminal.read(30)
        terminal.process.send_signal(signal.SIGINT)
        terminal.until(", stopped]")
        terminal.until("> ")
        terminal.type("/help\n")
        terminal.until("/reset begins")
        terminal.until("> ")
        terminal.type("\x04")
        assert terminal.end() == 0


def test_two_ctrl_c_at_the_prompt_leave(qwen2: Path) -> None:
    with Terminal("chat", str(qwen2)) as terminal:
        terminal.until("> ")
        terminal.interrupt()
        terminal.until("Ctrl-C again")
        terminal.until("> ")
        terminal.interrupt()
        assert terminal.end() == 130


def test_a_full_context_is_said_and_a_new_conversation_helps(qwen2: Path) -> None:
    with Terminal("chat", str(qwen2), "--n-ctx", "64", "--max-tokens", "2") as terminal:
        terminal.until("> ")
        terminal.type("hi " * 40 + "\n")
        terminal.until("the context holds 64")
        terminal.until("/reset begins anew")
        terminal.until("> ")
        terminal.type("hi\n")
        terminal.until("2 tokens")
        terminal.type("/exit\n")
        assert terminal.end() == 0
