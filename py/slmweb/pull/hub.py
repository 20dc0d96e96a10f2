"""Models of a Hugging Face repository, through huggingface_hub.

Owns what is said where the hub refuses. Hosts, tokens and redirects are huggingface_hub's
(HF_ENDPOINT, HF_TOKEN).
"""

from __future__ import annotations

import builtins
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from ..errors import SlmError
from . import http
from .registry import Repo
from .remote import Count, Listing, RemoteFile, Source, choose

if TYPE_CHECKING:
    from huggingface_hub import HfApi

_ADVICE = {
    401: "the hub does not take the token in HF_TOKEN; renew it or unset it",
    403: "the token in HF_TOKEN may not read it; use one with that permission",
    404: "there is no such thing there; check the spelling and the endpoint",
}


@dataclass(frozen=True)
class Found:
    """A repository as the hub's search describes it."""

    id: str
    model_type: str | None
    parameters: int | None
    license: str | None
    gated: bool
    downloads: int


class Hub(Source[Repo]):
    """One endpoint; by default that of HF_ENDPOINT, else huggingface.co."""

    def __init__(self, endpoint: str | None = None) -> None:
        from huggingface_hub import HfApi, constants

        self.endpoint = (endpoint or constants.ENDPOINT).rstrip("/")
        self._api: HfApi = HfApi(endpoint=self.endpoint, library_name="slmweb")

    def list(self, repo: Repo) -> Listing:
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
        chosen = choose(repo.id, lambda file: f"hf:{repo.id}:{file}", repo.file, files)
        return Listing(
            repo.id,
            commit,
            _license(info.card_data),
            repo.file is not None or chosen[0].path.lower().endswith(".gguf"),
            tuple(chosen),
            f"{self.endpoint}/{repo.id}",
        )

    def search(self, query: str, limit: int) -> builtins.list[Found]:
        """Repositories with safetensors that match, the most used first.

        Raises SlmError "network".
        """
        with http.explained(f"the search at {self.endpoint}", _ADVICE):
            answers = list(
                self._api.list_models(
                    search=query,
                    filter="safetensors",
                    sort="downloads",
                    limit=limit,
                    expand=["cardData", "config", "downloads", "gated", "safetensors"],
                )
            )
        return [
            Found(
                one.id,
                (one.config or {}).get("model_type"),
                one.safetensors.total if one.safetensors else None,
                _license(one.card_data),
                bool(one.gated),
                one.downloads or 0,
            )
            for one in answers
        ]

    def _download(self, listing: Listing, file: RemoteFile, partial: Path, count: Count) -> None:
        from huggingface_hub.utils import build_hf_headers  # type: ignore[attr-defined]

        url = f"{self.endpoint}/{listing.repo}/resolve/{listing.commit}/{quote(file.path)}"
        with self._explained(Repo(listing.repo, file=file.path)):
            http.append(url, partial, file.size, count, build_hf_headers(library_name="slmweb"))

    @contextmanager
    def _explained(self, repo: Repo) -> Iterator[None]:
        """Turns what huggingface_hub raises into one sentence."""
        from huggingface_hub import errors

        where = f"{repo.id} at {self.endpoint}"
        with http.explained(where, _ADVICE):
            try:
                yield
            except errors.GatedRepoError:
                sentence = (
                    f"{where} is gated: accept its terms at {self.endpoint}/{repo.id} with an "
                    "account of the hub, then set HF_TOKEN to a token of that account"
                )
            except errors.RevisionNotFoundError:
                sentence = (
                    f"{where} has no revision '{repo.revision}'; name a branch, tag or commit"
                )
            except errors.RepositoryNotFoundError:
                sentence = (
                    f"{where} does not exist or is private; check its spelling, and set HF_TOKEN "
                    "for a repository that only you may read"
                )
            except errors.EntryNotFoundError:
                sentence = f"{where} has no file {repo.file}; check its spelling"
            except errors.HFValidationError as error:
                sentence = f"{repo.id} is no name of a repository ({http.first_line(error)})"
            else:
                return
            raise SlmError("network", sentence) from None


def _license(card: object) -> str | None:
    """A card calls a licence "other" that it names beside."""
    return getattr(card, "license_name", None) or getattr(card, "license", None)
