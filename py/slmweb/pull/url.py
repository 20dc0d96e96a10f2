"""Models at an address: https:// with the client that the hub has, any other through fsspec.

Owns what a folder is where nothing can be listed: over HTTP the names that a checkpoint may have
are tried. Credentials are fsspec's and its file systems' own.
"""

from __future__ import annotations

import json
import re
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, unquote, urlsplit, urlunsplit

from ..errors import SlmError
from . import http
from .registry import Url
from .remote import (
    CHECKPOINT,
    MODULES,
    Count,
    Listing,
    RemoteFile,
    Source,
    choose,
    module_files,
    split_names,
)

if TYPE_CHECKING:
    from fsspec import AbstractFileSystem

_INDEX = "model.safetensors.index.json"
_CONFIGS = ("config.json", "adapter_config.json")
_WEIGHTS = ("model.safetensors", "adapter_model.safetensors")
_OTHERS = (
    "generation_config.json", "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json",
    "added_tokens.json", "vocab.json", "merges.txt", "tokenizer.model", "chat_template.jinja",
    "chat_template.json", "preprocessor_config.json", "README.md", "LICENSE",
)  # fmt: skip
# What a host says of a name that it does not have; a bucket that may not be listed says 403.
_MISSING = (403, 404, 410)
_PIECE = 8 << 20
_PATIENCE = 20  # seconds for an answer's header


def url_source(origin: Url) -> Source[Url]:
    """What reads that kind of address. Raises SlmError "missing_extra" or "invalid_argument"."""
    return WebHost() if urlsplit(origin.url).scheme.lower() in ("http", "https") else Storage()


class WebHost(Source[Url]):
    """Any web server. The query of an address may be a signature: it is sent, and never shown."""

    def __init__(self) -> None:
        self.endpoint = "its host"
        self._origin = Url("")

    def list(self, origin: Url) -> Listing:
        self._origin = origin
        if origin.file is not None:
            files = [self._file(name) for name in split_names(unquote(origin.file))]
            return Listing(origin.shown.rpartition("/")[0], "", None, True, tuple(files))
        configs = [f for name in _CONFIGS if (f := self._file_if_there(name)) is not None]
        if not configs:
            raise SlmError(
                "unsupported",
                f"{origin.shown} has no config.json, so it is no checkpoint; name the folder of "
                "one, or a file that ends in .gguf",
            )
        index = self._file_if_there(_INDEX)
        names = _WEIGHTS if index is None else self._shards(origin, index)
        others = [f for name in (*names, *_OTHERS) if (f := self._file_if_there(name)) is not None]
        files = [*configs, *([] if index is None else [index]), *others, *self._modules(origin)]
        chosen = choose(origin.shown, lambda file: f"{origin.shown}/{file}", None, files)
        return Listing(origin.shown, "", None, False, tuple(chosen))

    def _download(self, listing: Listing, file: RemoteFile, partial: Path, count: Count) -> None:
        # Where the bytes have changed since, the host sends all of them anew.
        same = {} if file.stamp is None else {"If-Range": file.stamp}
        with http.explained(f"{listing.repo}/{file.path}"):
            http.append(self._address(file.path), partial, file.size, count, same)

    def _content(self, origin: Url, file: RemoteFile) -> bytes:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "file"
            self._download(Listing(origin.shown, "", None, False, ()), file, path, lambda n: None)
            return path.read_bytes()

    def _modules(self, origin: Url) -> Sequence[RemoteFile]:
        """modules.json, where there is one, and what it names."""
        listed = self._file_if_there(MODULES)
        if listed is None:
            return []
        names = module_files(self._content(origin, listed))
        return [listed, *(f for n in names if (f := self._file_if_there(n)) is not None)]

    def _shards(self, origin: Url, index: RemoteFile) -> tuple[str, ...]:
        try:
            names = set(json.loads(self._content(origin, index))["weight_map"].values())
        except (ValueError, KeyError, TypeError, AttributeError):
            names = {""}
        if not all(isinstance(n, str) and CHECKPOINT.fullmatch(n) for n in names):
            raise SlmError(
                "bad_file", f"{origin.shown}/{_INDEX} does not say which files there are"
            )
        return tuple(sorted(names))

    def _file_if_there(self, name: str) -> RemoteFile | None:
        return self._probe(name, missing=_MISSING)

    def _file(self, name: str) -> RemoteFile:
        found = self._probe(name)
        assert found is not None
        return found

    def _probe(self, name: str, missing: tuple[int, ...] = ()) -> RemoteFile | None:
        """Asks for the first byte, as an address may be signed for GET alone."""
        from huggingface_hub.utils._http import get_session, hf_raise_for_status

        address = self._address(name)
        where = Url(address).shown
        headers = {"Range": "bytes=0-0", "Accept-Encoding": "identity"}
        with (
            http.explained(where),
            get_session().stream("GET", address, headers=headers, timeout=_PATIENCE) as answer,
        ):
            if answer.status_code in missing:
                return None
            hf_raise_for_status(answer)
            page = answer.headers.get("Content-Type", "").startswith("text/html")
            if page and missing:
                return None
            size = (
                answer.headers.get("Content-Range", "").rpartition("/")[2]
                if answer.status_code == 206
                else answer.headers.get("Content-Length", "")
            )
            stamp = answer.headers.get("ETag") or answer.headers.get("Last-Modified")
            md5 = re.search(r"md5=([\w+/]+=*)", answer.headers.get("x-goog-hash", ""))
        if page or not size.isdigit():
            what = "is a web page" if page else "does not say how many bytes it has"
            raise SlmError("network", f"{where} {what}; name the address of the file itself")
        if stamp is not None and stamp.startswith("W/"):
            stamp = None  # of what it means, not of its bytes
        return RemoteFile(name, int(size), md5=md5 and md5[1], stamp=stamp)

    def _address(self, name: str) -> str:
        parts = urlsplit(self._origin.url)
        folder = parts.path.rstrip("/")
        if self._origin.file is not None:
            folder = folder.rpartition("/")[0]
        return urlunsplit(parts._replace(path=f"{folder}/{quote(name)}", fragment=""))


class Storage(Source[Url]):
    """Whatever fsspec has a file system for: buckets, and hosts that are no web servers."""

    def __init__(self) -> None:
        self.endpoint = "its storage"
        self._root = ""

    def list(self, origin: Url) -> Listing:
        self._fs, path = self._open(origin)
        with _explained(origin.shown):
            info = self._fs.info(path)
            if info["type"] == "directory":
                found = [one for one in self._fs.ls(path, detail=True) if one["type"] == "file"]
                self._root = path
            else:
                self._root = path.rpartition("/")[0]
                found = [
                    self._fs.info(f"{self._root}/{n}") for n in split_names(path.rpartition("/")[2])
                ]
            files = [_remote_file(one) for one in found]
            if any(file.path == MODULES for file in files):
                named = module_files(self._fs.cat_file(f"{self._root}/{MODULES}"))
                there = {n: at for n in named if self._fs.exists(at := f"{self._root}/{n}")}
                files += [
                    replace(_remote_file(self._fs.info(at)), path=n) for n, at in there.items()
                ]
        shown = origin.shown if info["type"] == "directory" else origin.shown.rpartition("/")[0]
        file = None if info["type"] == "directory" else path.rpartition("/")[2]
        chosen = choose(shown, lambda name: f"{shown}/{name}", file, files)
        gguf = chosen[0].path.lower().endswith(".gguf")
        if not gguf and file is not None:
            raise SlmError(
                "unsupported",
                f"{origin.shown} is no GGUF file; name one, or the folder of a checkpoint",
            )
        return Listing(shown, "", None, gguf, tuple(chosen))

    def _download(self, listing: Listing, file: RemoteFile, partial: Path, count: Count) -> None:
        where = f"{listing.repo}/{file.path}"
        there = partial.stat().st_size if partial.is_file() else 0
        if there > file.size:
            partial.unlink()
            there = 0
        with partial.open("ab") as out:
            with _explained(where):
                source = self._fs.open(f"{self._root}/{file.path}", "rb", block_size=_PIECE)
            with source:
                while there < file.size:
                    with _explained(where):
                        source.seek(there)
                        piece = source.read(min(_PIECE, file.size - there))
                    if not piece:
                        raise SlmError(
                            "network",
                            f"{where} sent fewer bytes than it had announced; run this again",
                        )
                    out.write(piece)
                    there += len(piece)
                    count(there)

    def _open(self, origin: Url) -> tuple[AbstractFileSystem, str]:
        from fsspec.core import url_to_fs
        from fsspec.registry import known_implementations

        scheme = urlsplit(origin.url).scheme.lower()
        try:
            fs, path = url_to_fs(origin.url)
        except ImportError as error:
            told = known_implementations.get(scheme, {}).get("err") or http.first_line(error)
            raise SlmError(
                "missing_extra",
                f"{scheme}:// needs a package that is not there ({told}); install it with pip",
            ) from None
        except ValueError as error:
            raise SlmError(
                "invalid_argument",
                f"{origin.shown} cannot be opened ({http.first_line(error)}); name an address of "
                "https, s3, gs or another that fsspec knows",
            ) from None
        except Exception as error:  # of any file system
            raise _failed(origin.shown, error) from None
        return fs, str(path).rstrip("/")


def _remote_file(info: dict[str, Any]) -> RemoteFile:
    """As fsspec describes it: Google's storage has a hash, the others at best a tag or a date."""
    stamp = next(
        (info[key] for key in ("ETag", "etag", "mtime", "LastModified", "modificationTime")
         if info.get(key)), None,
    )  # fmt: skip
    name = str(info["name"]).rstrip("/").rpartition("/")[2]
    return RemoteFile(
        name,
        int(info["size"]),
        md5=info.get("md5Hash"),
        stamp=None if stamp is None else str(stamp),
    )


@contextmanager
def _explained(where: str) -> Iterator[None]:
    """File systems raise their clients' own errors, of which there is no list."""
    try:
        yield
    except SlmError:
        raise
    except Exception as error:
        raise _failed(where, error) from None


def _failed(where: str, error: Exception) -> SlmError:
    if isinstance(error, FileNotFoundError):
        return SlmError("network", f"there is no {where}; check the spelling")
    if isinstance(error, PermissionError):
        return SlmError("network", f"{where} may not be read; set up credentials that may")
    return SlmError(
        "network",
        f"{where} could not be read ({type(error).__name__}: {http.first_line(error)}); check the "
        "network and the credentials and run this again, what has arrived is kept",
    )
