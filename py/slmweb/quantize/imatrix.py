"""Importance matrices: how much each column of each matrix's input matters.

For every matrix the squares of its inputs are summed over a text, column by
column; a quantizer then weighs its errors by the mean. Owns the file formats,
llama.cpp's GGUF and its older binary one, and the computation with our own core.
What a quantizer does with the weights is ggml's business.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ..atomic import atomic_file
from ..core.model import Model
from ..core.session import Session
from ..errors import SlmError, os_reason
from ..generated.abi import TENSOR_TYPES
from . import container

F32 = npt.NDArray[np.float32]

SUMS, COUNTS = ".in_sum2", ".counts"
CHUNK = 512  # tokens; llama-imatrix's default


@dataclass(frozen=True)
class Entry:
    sums: F32  # [columns] squares of the inputs, over the tokens
    count: float  # tokens

    @property
    def mean(self) -> F32:
        return self.sums / np.float32(self.count)


@dataclass(frozen=True)
class ImportanceMatrix:
    entries: Mapping[str, Entry]  # by the matrix's name
    datasets: tuple[str, ...] = ()
    chunk_count: int = 0
    chunk_size: int = 0  # tokens

    def weights(self, name: str) -> F32 | None:
        """Mean squares [columns], or None where nothing was observed."""
        entry = self.entries.get(name)
        return entry.mean if entry is not None and entry.count > 0 else None


def compute(
    model: Model,
    text: bytes,
    *,
    dataset: str,
    chunk: int = CHUNK,
    max_chunks: int | None = None,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> ImportanceMatrix:
    """The importance matrix of a loaded model over a text.

    The text is cut into chunks of `chunk` tokens, each seen on its own and, where
    the model has one, behind BOS, as llama-imatrix does; a shorter rest is
    dropped unless it is all there is. `dataset` names the text in the file.
    Raises SlmError "invalid_argument".
    """
    ids = model.tokenizer.encode(text, special=False)
    if len(ids) < 2:
        raise SlmError(
            "invalid_argument",
            f"the text has {len(ids)} tokens, and an importance matrix wants many; "
            "use one of some thousand words that is like what the model will read",
        )
    limit = model.info["n_ctx_train"] or chunk
    if not 2 <= chunk <= limit:
        raise SlmError(
            "invalid_argument", f"a chunk of {chunk} tokens; the model takes 2 to {limit}"
        )
    size = min(chunk, len(ids))
    count = min(len(ids) // size, max_chunks or len(ids))
    bos = model.info["bos"] if model.info["add_bos"] else None
    core = model.core
    core.check("slm_imatrix_start", model.handle)
    with model.session(size) as session:
        for index in range(count):
            window = ids[index * size : (index + 1) * size]
            if bos is not None:
                window[0] = bos
            session.reuse(window[:1])  # forgets the chunk before
            done = index * size
            for n in _evaluate(session, window):
                done += n
                progress(done, count * size)
    entries = {}
    for index, tensor in enumerate(model.info["tensors"]):
        if len(tensor["shape"]) < 2:
            continue
        columns = tensor["shape"][0]
        with core.allocate(4 * columns) as address:
            tokens = core.check("slm_imatrix_read", model.handle, index, address, columns)
            if tokens > 0:
                entries[tensor["name"]] = Entry(core.array(address, columns, np.float32), tokens)
    return ImportanceMatrix(entries, (dataset,), count, size)


def _evaluate(session: Session, window: Sequence[int]) -> Iterator[int]:
    """Evaluates a chunk for all logits, so that the head's inputs count as well; yields how many
    tokens are done. Where an encoder reads prompts, half of the chunk is one and the rest the
    answer to it."""
    if not session.model.info["encoder_decoder"]:
        yield from (len(logits) for logits in session.logits(window))
        return
    n_read = len(window) // 2
    session.prefill(window[:n_read])
    yield n_read
    for token in window[n_read:]:
        session.eval([token])
        yield 1


def write_imatrix(matrix: ImportanceMatrix, out: Path) -> None:
    """Writes llama.cpp's GGUF format. Raises SlmError "unwritable"."""
    f32 = TENSOR_TYPES["F32"]
    tensors, data = [], []
    for name, entry in sorted(matrix.entries.items()):
        for ending, values in ((SUMS, entry.sums), (COUNTS, np.array([entry.count]))):
            tensors.append(container.Tensor(name + ending, (len(values),), f32))
            data.append([values.astype("<f4").tobytes()])
    metadata = {
        "general.type": container.text("imatrix"),
        "imatrix.datasets": container.texts(matrix.datasets),
        "imatrix.chunk_count": container.u32(matrix.chunk_count),
        "imatrix.chunk_size": container.u32(matrix.chunk_size),
    }
    with atomic_file(out) as file:
        container.write(file, metadata, tensors, data)


def read_imatrix(path: Path) -> ImportanceMatrix:
    """Reads either format. Raises SlmError "unreadable" or "bad_file"."""
    try:
        with path.open("rb") as file:
            magic = file.read(4)
        matrix = _read_gguf(path) if magic == b"GGUF" else _read_legacy(path.read_bytes())
    except OSError as error:
        raise SlmError("unreadable", f"cannot read {path}: {os_reason(error)}") from None
    # Damage shows as whatever numpy, struct or the gguf library stumble over.
    except Exception as error:
        raise _bad(path, str(error)) from None
    if not matrix.entries:
        raise _bad(path, "it has no entries")
    for name, entry in matrix.entries.items():
        if not (np.isfinite(entry.sums).all() and (entry.sums >= 0).all() and entry.count >= 0):
            raise _bad(path, f"the sums of {name} are not all finite and at least zero")
    return matrix


def _bad(path: Path, reason: str) -> SlmError:
    return SlmError(
        "bad_file",
        f"{path} is not an importance matrix that can be used ({reason or 'it is cut short'}); "
        "compute one with `slmweb imatrix`",
    )


def _read_gguf(path: Path) -> ImportanceMatrix:
    from gguf import GGUFReader

    reader = GGUFReader(path)
    arrays = {tensor.name: np.array(tensor.data, np.float32) for tensor in reader.tensors}

    def fact(key: str) -> object:
        field = reader.get_field(key)
        return None if field is None else field.contents()

    if fact("general.type") not in (None, "imatrix"):
        raise ValueError("its general.type is not imatrix")
    entries = {}
    for name, sums in arrays.items():
        base = name.removesuffix(SUMS)
        if base != name:
            entries[base] = Entry(sums.reshape(-1), float(arrays[base + COUNTS].reshape(-1)[0]))
    datasets = fact("imatrix.datasets")
    count, size = fact("imatrix.chunk_count"), fact("imatrix.chunk_size")
    return ImportanceMatrix(
        entries,
        tuple(map(str, datasets)) if isinstance(datasets, Sequence) else (),
        count if isinstance(count, int) else 0,
        size if isinstance(size, int) else 0,
    )


def _read_legacy(data: bytes) -> ImportanceMatrix:
    """`imatrix.dat`: per entry a name, a number of calls, and means times that number."""
    at = 0

    def number() -> int:
        nonlocal at
        value: int = struct.unpack_from("<i", data, at)[0]
        at += 4
        return value

    def take(n: int) -> bytes:
        nonlocal at
        if n < 0 or at + n > len(data):
            raise ValueError("it is cut short or no such file")
        at += n
        return data[at - n : at]

    entries = {}
    for _ in range(number()):
        name = take(number()).decode()
        calls = number()
        entries[name] = Entry(np.frombuffer(take(4 * number()), "<f4").copy(), calls)
    chunks = number() if at + 4 <= len(data) else 0
    datasets = (take(number()).decode(),) if at + 4 <= len(data) else ()
    return ImportanceMatrix(entries, datasets, chunks)
