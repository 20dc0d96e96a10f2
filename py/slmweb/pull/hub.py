"""Files of a Hugging Face repository, through huggingface_hub.

Owns which files of a repository are a model, the continuation of an interrupted download, and the
comparison of what came with what the hub's listing says: SHA-256 for large files, the Git hash for
small ones. A file leaves the folder of partial downloads only after that. Hosts, tokens and
redirects are huggingface_hub's (HF_ENDPOINT, HF_TOKEN).
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from ..atomic import atomic_file, check_output
from ..errors import SlmError, os_reason
from .registry import Repo

if TYPE_CHECKING:
    from huggingface_hub import HfApi

Progress = Callable[[int, int], None]  # bytes done, bytes in all

RECORD = "pulled.json"
# What a partial download lies in, beside the finished files.
PARTIAL = ".partial"

# What `slmweb convert` reads of a checkpoint or an adapter, all in the repository's root.
_CHECKPOINT = re.compile(
    r"(config|generation_config|adapter_config|tokenizer|tokenizer_config|special_tokens_map"
    r"|added_tokens|vocab|chat_template|preprocessor_config|[^/]*\.safetensors\.index)\.json"
    r"|(?!consolidated)[^/]*\.safetensors|tokenizer\.model|merges\.txt|[^/]*\.jinja"
    r"|LICENSE[^/]*|README\.md",
    re.I,
)
# A folder with one of these is whole, so they come last.
LAST = ("config.json", "adapter_config.json")
_SPLIT = re.compile(r"(?P<stem>.*)-\d{5}-of-(?P<count>\d{5})\.gguf", re.I)

_ADVICE = {
    401: "the hub does not take the token in HF_TOKEN; renew it or unset it",
    403: "the token in HF_TOKEN may not read it; use one with that permission",
    404: "there is no such thing there; check the spelling and the endpoint",
}


@dataclass(frozen=True)
class RemoteFile:
    """A file as the hub lists it. `sha256` is there for large files, `git` (SHA-1) for all."""

    path: str
    size: int
    sha256: str | None
    git: str


@dataclass(frozen=True)
class Listing:
    """A repository at one commit: its licence by its card, and the files that were asked for."""

    repo: str
    commit: str
    license: str | None
    gguf: bool  # one file or a split set, else a checkpoint
    files: tuple[RemoteFile, ...]

    @property
    def size(self) -> int:
        return sum(file.size for file in self.files)


class Hub:
    """One endpoint; by default that of HF_ENDPOINT, else huggingface.co."""

    def __init__(self, endpoint: str | None = None) -> None:
        from huggingface_hub import HfApi, constants

        self.endpoint = (endpoint or constants.ENDPOINT).rstrip("/")
        self._api: HfApi = HfApi(endpoint=self.endpoint, library_name="slmweb")

    def list(self, repo: Repo) -> Listing:
        """What is to be fetched of a repository. Raises SlmError "network" or "unsupported"."""
        from huggingface_hub.hf_api import RepoFile

        with self._explained(repo):
            info = self._api.model_info(repo.id, revision=repo.revision)
            commit = info.sha or repo.revision or "main"
            tree = list(self._api.list_repo_tree(repo.id, revision=commit, recursive=True))
        files = [
            RemoteFile(item.path, item.size, item.lfs.sha256 if item.lfs else None, item.blob_id)
            for item in tree
            if isinstance(item, RepoFile)
        ]
        card = info.card_data
        chosen = _choose(repo, files)
        return Listing(
            repo.id,
            commit,
            getattr(card, "license_name", None) or getattr(card, "license", None),
            repo.file is not None or chosen[0].path.lower().endswith(".gguf"),
            tuple(chosen),
        )

    def fetch(self, listing: Listing, folder: Path, progress: Progress) -> None:
        """Brings the listed files into `folder`, under their base names for a GGUF.

        What is there already and proved stays; what was begun goes on. Raises SlmError "network",
        "corrupt" (the file is then gone) or "unwritable", and what check_output raises.
        """
        for file in listing.files:
            check_output(folder / PurePosixPath(file.path).name)
        record = read_record(folder)
        # A folder with a config.json is a whole checkpoint, so that file goes first and comes last.
        files = sorted(listing.files, key=lambda file: file.path in LAST)

        def is_current(file: RemoteFile) -> bool:
            target = folder / PurePosixPath(file.path).name
            there = target.is_file() and target.stat().st_size == file.size
            return there and record.get(target.name) == asdict(file)

        wanted = [file for file in files if not is_current(file)]
        done = listing.size - sum(file.size for file in wanted)
        progress(done, listing.size)
        try:
            (folder / PARTIAL).mkdir(parents=True, exist_ok=True)
            if wanted and files[-1].path in LAST and files[-1] not in wanted:
                wanted.append(files[-1])
                done -= files[-1].size
            for file in reversed(wanted):
                (folder / PurePosixPath(file.path).name).unlink(missing_ok=True)
            for file in wanted:
                target = folder / PurePosixPath(file.path).name
                partial = folder / PARTIAL / f"{target.name}.{(file.sha256 or file.git)[:16]}"
                self._download(
                    listing,
                    file,
                    partial,
                    lambda n, at=done: progress(at + n, listing.size),  # type: ignore[misc]
                )
                check(partial, file, f"{listing.repo}/{file.path}")
                partial.replace(target)
                record[target.name] = asdict(file)
                write_record(folder, listing, record)
                done += file.size
            _remove_empty(folder / PARTIAL)
        except OSError as error:
            raise SlmError("unwritable", f"cannot write {folder}: {os_reason(error)}") from None

    def read(self, listing: Listing, name: str) -> bytes:
        """One small file of the repository, in memory. Raises SlmError "network"."""
        import tempfile

        for file in listing.files:
            if file.path == name:
                with tempfile.TemporaryDirectory() as folder:
                    partial = Path(folder) / "file"
                    self._download(listing, file, partial, lambda n: None)
                    check(partial, file, f"{listing.repo}/{name}")
                    return partial.read_bytes()
        raise SlmError("network", f"{listing.repo} at {self.endpoint} has no {name}")

    def _download(
        self, listing: Listing, file: RemoteFile, partial: Path, progress: Callable[[int], None]
    ) -> None:
        """Appends to `partial` what it still lacks, across broken connections and earlier runs."""
        from huggingface_hub.file_download import http_get
        from huggingface_hub.utils import build_hf_headers  # type: ignore[attr-defined]

        url = f"{self.endpoint}/{listing.repo}/resolve/{listing.commit}/{quote(file.path)}"
        there = partial.stat().st_size if partial.is_file() else 0
        if there > file.size:
            partial.unlink()
            there = 0
        with partial.open("ab") as out, self._explained(Repo(listing.repo, file=file.path)):
            http_get(
                url,
                out,
                resume_size=there,
                headers={**build_hf_headers(library_name="slmweb"), "Accept-Encoding": "identity"},
                expected_size=file.size,
                tqdm_class=_counter(progress),
            )

    @contextmanager
    def _explained(self, repo: Repo) -> Iterator[None]:
        """Turns what huggingface_hub raises into one sentence."""
        import httpx2
        from huggingface_hub import errors

        where = f"{repo.id} at {self.endpoint}"
        try:
            yield
        except errors.GatedRepoError:
            sentence = (
                f"{where} is gated: accept its terms at {self.endpoint}/{repo.id} with an account "
                "of the hub, then set HF_TOKEN to a token of that account"
            )
        except errors.RevisionNotFoundError:
            sentence = f"{where} has no revision '{repo.revision}'; name a branch, tag or commit"
        except errors.RepositoryNotFoundError:
            sentence = (
                f"{where} does not exist or is private; check its spelling, and set HF_TOKEN for a "
                "repository that only you may read"
            )
        except errors.EntryNotFoundError:
            sentence = f"{where} has no file {repo.file}; check its spelling"
        except errors.HFValidationError as error:
            sentence = f"{repo.id} is no name of a repository ({_first_line(error)})"
        except errors.HfHubHTTPError as error:
            status = error.response.status_code
            advice = _ADVICE.get(status, "try again later")
            sentence = f"{where} answered with HTTP {status}; {advice}"
        except (httpx2.HTTPError, errors.OfflineModeIsEnabled) as error:
            sentence = (
                f"{where} is out of reach ({_first_line(error)}); check the network and run this "
                "again, what has arrived is kept"
            )
        except OSError as error:
            if error.errno is not None:  # of our own disk
                raise
            sentence = f"{where} sent fewer bytes than it had announced; run this again"
        else:
            return
        raise SlmError("network", sentence) from None


def check(path: Path, file: RemoteFile, name: str) -> None:
    """Compares bytes with the hub's listing; deletes them and raises "corrupt" when they differ."""
    wanted = file.sha256 or file.git
    digest = hashlib.sha256() if file.sha256 else hashlib.sha1(usedforsecurity=False)
    if not file.sha256:  # Git hashes a header with the bytes
        digest.update(f"blob {file.size}\0".encode())
    with path.open("rb") as data:
        while piece := data.read(1 << 20):
            digest.update(piece)
    if digest.hexdigest() != wanted:
        path.unlink()
        raise SlmError(
            "corrupt",
            f"{name} should have the hash {wanted} by the hub's own listing, but what came has "
            f"{digest.hexdigest()}; it was deleted, run this again, and if that does not help tell "
            "the repository's owner",
        )


def read_record(folder: Path) -> dict[str, Any]:
    """What an earlier pull has put into `folder`: file name -> RemoteFile as a dict."""
    try:
        files = json.loads((folder / RECORD).read_bytes())["files"]
    except (OSError, ValueError, KeyError, TypeError):
        return {}
    return files if isinstance(files, dict) else {}


def write_record(folder: Path, listing: Listing, files: dict[str, Any]) -> None:
    record = {"repo": listing.repo, "commit": listing.commit, "files": files}
    with atomic_file(folder / RECORD) as out:
        out.write((json.dumps(record, indent=1, sort_keys=True) + "\n").encode())


def _choose(repo: Repo, files: Sequence[RemoteFile]) -> list[RemoteFile]:
    """The named GGUF with the rest of its split set, the checkpoint, or the only GGUF there is."""
    ggufs = [file for file in files if file.path.lower().endswith(".gguf")]
    if repo.file is not None:
        found = [file for file in files if file.path == repo.file]
        if not found:
            known = ", ".join(file.path for file in ggufs[:20]) or "none"
            raise SlmError(
                "network", f"{repo.id} has no file {repo.file}; its GGUF files are: {known}"
            )
        return _split_set(found[0], files)
    root = [file for file in files if _CHECKPOINT.fullmatch(file.path)]
    if any(file.path.endswith(".safetensors") for file in root):
        return root
    sets = {tuple(_split_set(file, files)) for file in ggufs}
    if len(sets) == 1:
        return list(sets.pop())
    if sets:
        names = ", ".join(sorted(one[0].path for one in sets)[:20])
        raise SlmError(
            "invalid_argument",
            f"{repo.id} holds {len(sets)} GGUF models ({names}); name one, as in "
            f"hf:{repo.id}:{min(one[0].path for one in sets)}",
        )
    raise SlmError(
        "unsupported",
        f"{repo.id} holds neither safetensors nor a GGUF file, so there is nothing to convert or "
        "run; name another repository",
    )


def _split_set(file: RemoteFile, files: Sequence[RemoteFile]) -> list[RemoteFile]:
    match = _SPLIT.fullmatch(file.path)
    if match is None:
        return [file]
    parts = [other for other in files if (m := _SPLIT.fullmatch(other.path))
             and (m["stem"], m["count"]) == (match["stem"], match["count"])]  # fmt: skip
    return sorted(parts, key=lambda part: part.path)


def _remove_empty(folder: Path) -> None:
    if not any(folder.iterdir()):
        folder.rmdir()


def _counter(progress: Callable[[int], None]) -> type:
    """A progress bar in tqdm's shape that only counts, for http_get to report to."""

    class Counter:
        def __init__(self, *_: Any, initial: int = 0, **__: Any) -> None:
            self.n = initial

        def update(self, n: int) -> None:
            self.n += n
            progress(self.n)

        def __enter__(self) -> Counter:
            return self

        def __exit__(self, *_: object) -> None:
            pass

        def close(self) -> None:
            pass

    return Counter


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
