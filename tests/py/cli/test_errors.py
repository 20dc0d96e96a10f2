"""What a person gets wrong: one sentence on stderr, exit status 1 or 2, never a traceback."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.py.cli.program import Done, slmweb

COMMANDS = (
    "serve", "chat", "inspect", "tokenize", "detokenize",
    "logits", "look", "sae", "perplexity", "eval", "bench", "convert", "quantize", "imatrix",
    "pack", "keygen", "sign", "verify", "bundle", "build", "pull", "plan", "doctor",
)  # fmt: skip


def assert_one_sentence(done: Done, status: int) -> str:
    err = done.stderr.decode()
    assert done.returncode == status, err
    assert err.startswith("slmweb: "), err
    assert err.count("\n") == 1, err
    assert "Traceback" not in err
    assert done.stdout == b""
    return err


# (arguments, status, what the sentence mentions). {model} is a good model,
# {chat} one with a template; the other names are made by the fixture below.
BAD: dict[str, tuple[list[str], int, str]] = {
    "no such command": (["translate"], 2, "translate"),
    "no such option": (["inspect", "{model}", "--fast"], 2, "--fast"),
    "no model": (["inspect"], 2, "MODEL.gguf"),
    "two models": (["inspect", "{model}", "{model}"], 2, "argument"),
    "absent": (["inspect", "{dir}/absent.gguf"], 1, "no such file"),
    "folder": (["inspect", "{dir}"], 1, "it is a folder"),
    "empty": (["inspect", "{dir}/empty.gguf"], 1, "empty.gguf"),
    "text file": (["inspect", "{dir}/notes.gguf"], 1, "notes.gguf"),
    "truncated header": (["tokenize", "{dir}/header.gguf"], 1, "header.gguf"),
    "truncated data": (["chat", "{dir}/data.gguf", "-p", "x"], 1, "data.gguf"),
    "weights of a checkpoint": (["inspect", "{dir}/a.safetensors"], 2, "give their folder to"),
    "no weights of a checkpoint": (["inspect", "{dir}/no.safetensors"], 1, "no such file"),
    "path in place of a name": (["plan", "{dir}/absent.gguf"], 1, "absent.gguf; give the path"),
    "part missing": (["inspect", "{dir}/m-00001-of-00002.gguf"], 1, "m-00002-of-00002.gguf"),
    "pipe as model": (["inspect", "{dir}/pipe"], 1, "not a regular file"),
    "name too long": (["inspect", "{dir}/" + "x" * 300], 1, "too long"),
    "control characters": (["inspect", "{dir}/a\nb"], 1, "cannot read"),
    "device": (["inspect", "/dev/zero"], 1, "not a regular file"),
    "ids are words": (["logits", "{model}", "--ids", "1,two", "--out", "{dir}/o"], 2, "'two'"),
    "ids are negative": (["logits", "{model}", "--ids=-1", "--out", "{dir}/o"], 2, "'-1'"),
    "ids are NaN": (["logits", "{model}", "--ids", "nan", "--out", "{dir}/o"], 2, "'nan'"),
    "ids are floats": (["detokenize", "{model}", "--ids", "1.5"], 2, "'1.5'"),
    "no ids": (["logits", "{model}", "--ids", " , ", "--out", "{dir}/o"], 2, "no token ids"),
    "id outside": (["logits", "{model}", "--ids", "307", "--out", "{dir}/o"], 2, "307"),
    "huge id": (["detokenize", "{model}", "--ids", "9999999999"], 2, "9999999999"),
    "id outside, detokenize": (["detokenize", "{model}", "--ids", "1,400"], 2, "400"),
    "stdin without ids": (["detokenize", "{model}"], 2, "no token ids"),
    "no such layer": (["look", "{model}", "x", "--layer", "99"], 2, "there is no layer 99"),
    "feature of nothing": (["look", "{model}", "x", "--feature", "1"], 2, "give --sae FILE, too"),
    "layer of an SAE": (
        ["look", "{model}", "x", "--layer", "1", "--sae", "{model}"], 2, "leave --layer out"),
    "no SAE": (["look", "{model}", "x", "--sae", "{model}"], 1, "no 'general.type'"),
    "steering of nothing": (
        ["chat", "{chat}", "-p", "x", "--steer", "1:2"], 2, "--sae FILE and --steer both"),
    "no parameters": (["sae", "{dir}", "--model", "{model}", "-o", "{dir}/o"], 1, "has neither"),
    "nothing to look at": (["look", "{model}"], 2, "TEXT"),
    "no output": (["logits", "{model}", "--ids", "1"], 2, "--out"),
    "output is a folder": (["logits", "{model}", "--ids", "1", "--out", "{dir}"], 1, "folder"),
    "output in no folder": (
        ["logits", "{model}", "--ids", "1", "--out", "{dir}/no/o.npy"], 1, "no such file"),
    "output below a file": (
        ["logits", "{model}", "--ids", "1", "--out", "{model}/o.npy"], 1, "cannot write"),
    "batch of none": (
        ["logits", "{model}", "--ids", "1", "--out", "{dir}/o", "--n-batch", "0"], 2, "--n-batch"),
    "folder without a pack": (
        ["bundle", "{dir}", "-o", "{dir}/site"], 1, "expected a packed model"),
    "a pack in place of the folder around it": (
        ["serve", "--models", "{dir}/packed"], 1, "takes the folder around it"),
    "no text": (["perplexity", "{model}", "{dir}/absent.txt"], 1, "no such file"),
    "empty text": (["perplexity", "{model}", "{dir}/empty.gguf"], 2, "longer text"),
    "folder as text": (["perplexity", "{model}", "{dir}"], 1, "cannot read"),
    "context of NaN": (["perplexity", "{model}", "{model}", "--n-ctx", "nan"], 2, "--n-ctx"),
    "context of one": (["perplexity", "{model}", "{model}", "--n-ctx", "1"], 2, "--n-ctx"),
    "huge context": (["perplexity", "{model}", "-", "--n-ctx", "9" * 30], 2, "--n-ctx"),
    "temperature NaN": (["chat", "{chat}", "--temperature", "nan"], 2, "--temperature"),
    "temperature inf": (["chat", "{chat}", "--temperature", "inf"], 2, "--temperature"),
    "temperature -1": (["chat", "{chat}", "--temperature=-1"], 2, "--temperature"),
    "top_p 2": (["chat", "{chat}", "--top-p", "2"], 2, "--top-p"),
    "top_k word": (["chat", "{chat}", "--top-k", "many"], 2, "--top-k"),
    "penalty NaN": (["chat", "{chat}", "--presence-penalty", "nan"], 2, "--presence-penalty"),
    "seed 2^60": (["chat", "{chat}", "--seed", str(2**60)], 2, "--seed"),
    "empty stop": (["chat", "{chat}", "--stop", "", "-p", "x"], 2, "--stop"),
    "no tokens wanted": (["chat", "{chat}", "--max-tokens", "0"], 2, "--max-tokens"),
    "no template": (["chat", "{model}", "-p", "x"], 1, "no chat template"),
    "prompt too long": (["chat", "{chat}", "-p", "word " * 99, "--n-ctx", "64"], 1, "holds 64"),
    "no such variant": (["bench", "{model}", "--variant", "avx"], 2, "--variant"),
    "no such backend": (["bench", "{model}", "--backend", "cuda"], 2, "--backend"),
    "a check of another program": (
        ["bench", "{model}", "--backend", "cpu", "--verify"], 2, "without --backend"),
    "a backend of no page": (
        ["eval", "{model}", "--data", "-", "--task", "perplexity", "--backend", "webgpu"],
        2, "give --browser as well"),
    "bench of nothing": (["bench", "{model}", "--prompt", "0"], 2, "--prompt"),
    "pack nothing": (["pack"], 2, "MODEL.gguf"),
    "pack text": (["pack", "{dir}/notes.gguf", "-o", "{dir}/p"], 1, "notes.gguf"),
    "pack into a file": (["pack", "{model}", "-o", "{dir}/notes.gguf"], 1, "cannot make"),
    "pack a bad name": (["pack", "{model}", "-o", "{dir}/p", "--name", "A B"], 2, "'A B'"),
    "pack bad sampling": (["pack", "{model}", "-o", "{dir}/p", "--sampling", "hot"], 2, "'hot'"),
    "pack NaN": (["pack", "{model}", "-o", "{dir}/p", "--sampling", "top_p=nan"], 2, "top_p=nan"),
    "port word": (["serve", "--port", "http"], 2, "--port"),
    "port 65536": (["serve", "--port", "65536"], 2, "--port"),
    "host of others": (["serve", "--host", "203.0.113.7", "--models", "{dir}"], 1, "127.0.0.1"),
    "no models folder": (["serve", "--models", "{dir}/absent"], 1, "slmweb pack"),
}  # fmt: skip


@pytest.fixture(scope="module")
def mess(tmp_path_factory: pytest.TempPathFactory, llama: Path) -> Path:
    folder = tmp_path_factory.mktemp("mess")
    data = llama.read_bytes()
    (folder / "empty.gguf").touch()
    (folder / "a.safetensors").write_bytes(bytes(64))
    (folder / "notes.gguf").write_text("Dear diary\n" * 50)
    (folder / "header.gguf").write_bytes(data[:3000])
    (folder / "data.gguf").write_bytes(data[:-1000])
    (folder / "m-00001-of-00002.gguf").write_bytes(data)
    os.mkfifo(folder / "pipe")
    (folder / "packed").mkdir()
    (folder / "packed/manifest.json").write_text("{}")
    return folder


@pytest.mark.parametrize("mistake", BAD)
def test_a_mistake_is_one_sentence(mistake: str, mess: Path, llama: Path, qwen2: Path) -> None:
    arguments, status, words = BAD[mistake]
    before = sorted(mess.iterdir())
    filled = [a.format(model=llama, chat=qwen2, dir=mess) for a in arguments]
    err = assert_one_sentence(slmweb(*filled), status)
    assert words in err
    assert sorted(mess.iterdir()) == before, "a failed command leaves nothing behind"


def test_a_usage_error_points_at_the_help() -> None:
    assert "tokenize --help`" in assert_one_sentence(slmweb("tokenize"), 2)


def test_debug_shows_the_trace_on_request(tmp_path: Path) -> None:
    done = slmweb("inspect", str(tmp_path), env={"SLMWEB_DEBUG": "1"})
    assert done.returncode == 1
    assert b"Traceback" in done.stderr


@pytest.mark.parametrize("arguments", [["inspect", "{model}", "--tensors"], ["--help"]])
def test_a_reader_that_leaves_early_is_no_error(arguments: list[str], llama: Path) -> None:
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run(
        [sys.executable, "-m", "slmweb", *(a.format(model=llama) for a in arguments)],
        stdout=write,
        stderr=subprocess.PIPE,
        timeout=60,
        check=False,
    )
    os.close(write)
    assert done.stderr == b""
    assert done.returncode == 1


def test_a_closed_stdin_is_no_traceback(llama: Path) -> None:
    command = f"{sys.executable} -m slmweb tokenize {llama} --json <&-"
    done = subprocess.run(command, shell=True, capture_output=True, timeout=60, check=False)  # noqa: S602
    assert b"Traceback" not in done.stderr
    assert done.returncode == 1


def test_ctrl_c_is_130_and_silent(llama: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "slmweb", "perplexity", str(llama), "-", "--n-ctx", "512"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdin is not None
    # It reads all of stdin before anything else, so it is past its imports.
    process.stdin.write(b"the hen " * 100_000)
    process.stdin.flush()
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out, err) == (130, b"", b"")


@pytest.mark.parametrize("command", ["", *COMMANDS])
def test_help_shows_an_example(command: str) -> None:
    done = slmweb(*([command] if command else []), "--help", env={"COLUMNS": "100"})
    assert done.returncode == 0
    out = done.stdout.decode()
    assert f"Example: slmweb {command}".rstrip() in out
    assert ("--json" in out) == bool(command), "commands with output have JSON"
    assert not re.search(r"/(home|work|root)/", out), "a path of the machine that wrote it"
    assert done.stderr == b""


def test_help_imports_nothing_heavy() -> None:
    code = (
        "import sys\nfrom slmweb.cli.app import run\nrun(['--help'])\n"
        "heavy = {'numpy', 'wasmtime', 'starlette', 'uvicorn', 'jinja2', 'gguf'}\n"
        "print(sorted(heavy & set(sys.modules)), file=sys.stderr)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
    assert done.stderr.strip() == b"[]"
