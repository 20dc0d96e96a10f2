"""Models of Kaggle, through kagglehub.

Owns what is fetched of a variation and the check against the MD5 that Kaggle's storage states.
Credentials are kagglehub's: KAGGLE_API_TOKEN, or KAGGLE_USERNAME with KAGGLE_KEY, or ~/.kaggle.
"""

from __future__ import annotations

import contextlib
import sys
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import unquote, urlsplit

from ..errors import SlmError
from . import http
from .registry import Kaggle
from .remote import Count, Listing, RemoteFile, Source, check, choose

_PAGE = 200  # files in an answer
_SITE = "https://www.kaggle.com"


class KaggleModels(Source[Kaggle]):
    """Kaggle's models, as whoever has the credentials. Raises SlmError "missing_extra"."""

    def __init__(self) -> None:
        try:
            import kagglehub  # noqa: F401
        except ImportError:
            raise SlmError(
                "missing_extra", 'kagglehub is not installed; run `pip install "slmweb[kaggle]"`'
            ) from None
        self.endpoint = "Kaggle"

    def list(self, origin: Kaggle) -> Listing:
        from kagglesdk.models.types import model_api_service as api

        page = f"{_SITE}/models/{origin.id}"
        with _explained(origin, page), _models() as models:
            instance = models.get_model_instance(_request(api.ApiGetModelInstanceRequest, origin))
            version = origin.version or instance.version_number
            request = _request(api.ApiListModelInstanceVersionFilesRequest, origin)
            request.version_number, request.page_size = version, _PAGE
            found: list[Any] = []
            while True:
                answer = models.list_model_instance_version_files(request)
                found += answer.files
                if not answer.next_page_token or not answer.files:
                    break
                request.page_token = answer.next_page_token
        files = [RemoteFile(f.name, f.size, stamp=f"{version} {f.creation_date}") for f in found]
        spelled = f"kaggle:{origin.id}" + ("" if origin.version is None else f"/{version}")
        chosen = choose(origin.id, lambda file: f"{spelled}:{file}", origin.file, files)
        gguf = origin.file is not None or chosen[0].path.lower().endswith(".gguf")
        return Listing(
            origin.id, str(version), instance.license_name or None, gguf, tuple(chosen), page
        )

    def _download(self, listing: Listing, file: RemoteFile, partial: Path, count: Count) -> None:
        from kagglehub.integrity import get_md5_checksum_from_response
        from kagglesdk.models.types import model_api_service as api

        origin = Kaggle(listing.repo, int(listing.commit), file.path)
        where = f"{listing.repo}/{file.path} at Kaggle"
        with _explained(origin, str(listing.page)), _models() as models:
            request = _request(api.ApiDownloadModelInstanceVersionRequest, origin)
            request.version_number, request.path = origin.version, file.path
            # Kaggle sends us on to its storage, which knows nothing of accounts and takes ranges.
            with models.download_model_instance_version(request) as answer:
                url = answer.url
                size = int(answer.headers.get("Content-Length", file.size))
                md5 = get_md5_checksum_from_response(answer)
        stored = replace(file, size=size, md5=md5)
        packed = PurePosixPath(unquote(urlsplit(url).path)).name
        if packed != f"{PurePosixPath(file.path).name}.zip":
            if size != file.size:
                raise SlmError(
                    "corrupt",
                    f"{where} should have {file.size:,} bytes, but has {size:,}; tell its owner",
                )
            with http.explained(where):
                http.append(url, partial, size, count)
            check(partial, stored, where)
            return
        archive = partial.with_name(f"{partial.name}.zip")
        with http.explained(where):
            http.append(url, archive, size, lambda n: count(min(n, file.size)))
        check(archive, stored, where)
        try:
            with zipfile.ZipFile(archive) as opened:
                _unpack(opened, packed.removesuffix(".zip"), partial, file.size)
        except (
            zipfile.BadZipFile,
            zlib.error,
            KeyError,
            NotImplementedError,
            RuntimeError,
        ) as error:
            raise SlmError(
                "corrupt", f"the archive of {where} cannot be unpacked ({error}); tell its owner"
            ) from None
        finally:
            archive.unlink()


def _unpack(archive: zipfile.ZipFile, member: str, target: Path, size: int) -> None:
    """Writes no more than a byte beyond `size`, by which `check` then sees that it is too much."""
    with archive.open(member) as source, target.open("wb") as out:
        left = size + 1
        while left > 0 and (piece := source.read(min(left, 1 << 20))):
            out.write(piece)
            left -= len(piece)


def _request(kind: type[Any], origin: Kaggle) -> Any:
    from kagglehub.handle import parse_model_handle

    handle, request = parse_model_handle(origin.id), kind()
    request.owner_slug, request.model_slug = handle.owner, handle.model
    request.framework, request.instance_slug = handle.framework_enum(), handle.variation
    return request


@contextmanager
def _models() -> Iterator[Any]:
    """Kaggle's API of models. It prints advice about its version, which is no answer of ours."""
    from kagglehub.clients import build_kaggle_client

    with contextlib.redirect_stdout(sys.stderr), build_kaggle_client() as client:
        yield client.models.model_api_client


@contextmanager
def _explained(origin: Kaggle, page: str) -> Iterator[None]:
    """Turns what kagglehub and requests raise into one sentence."""
    import requests

    where = f"{origin.id} at Kaggle"
    try:
        yield
        return
    except requests.HTTPError as error:
        status = 0 if error.response is None else error.response.status_code
        if status == 401:
            sentence = (
                f"{where} needs an account: make a token at {_SITE}/settings/api and set "
                "KAGGLE_API_TOKEN to it"
            )
        elif status == 403:
            sentence = (
                f"{where} may not be read by this account: accept its terms at {page}, and set "
                f"KAGGLE_API_TOKEN to a token of that account ({_SITE}/settings/api)"
            )
        elif status == 404:
            sentence = f"{where} does not exist or is private; check its spelling at {_SITE}/models"
        else:
            sentence = f"{where} answered with HTTP {status}; try again later"
    except requests.RequestException as error:
        sentence = (
            f"{where} is out of reach ({http.first_line(error)}); check the network and run this "
            "again, what has arrived is kept"
        )
    except ValueError as error:  # a framework that is none, a credentials file that is broken
        sentence = f"{where} cannot be asked for ({http.first_line(error)}); correct that"
    raise SlmError("network", sentence) from None
