"""The web application: which URL is which file, and what is said when there is none.

Owns the routes and the 404s. Serves files that others made (the web bundle, the
wasm variants, packed models) and computes nothing: the model runs in the
browser, so the server never sees a prompt. It takes no input but the path and
the request headers.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

from .. import paths
from ..errors import SlmError
from ..pack.manifest import MANIFEST, MODEL_NAME
from ..pack.sign import SIGNATURE, PublicKey
from .files import IMMUTABLE, MEDIA_TYPES, REVALIDATE, accepted_codings, etag_matches, send_file
from .headers import SealMiddleware
from .hosts import HostMiddleware
from .models import CHUNK_NAME, MODEL_LIST, ModelFolder
from .pages import ASSET_NAME, Page, PageCache, hashed
from .site import Site

log = logging.getLogger("slmweb.server")


@dataclass(frozen=True)
class Folders:
    """Where the served files are."""

    web: Path
    wasm: Path
    models: Path

    @classmethod
    def default(cls, models: Path | None = None) -> Folders:
        return cls(paths.web_dir(), paths.wasm_dir(), models or paths.models_dir())


def create_app(
    folders: Folders | None = None,
    public_key: PublicKey | None = None,
    allowed_hosts: Sequence[str] = (),
    site: Site | None = None,
) -> ASGIApp:
    """The ASGI application over `folders` (by default those of this installation).

    With a `public_key` the page opens only models whose manifest is signed by it. It answers to
    this machine's loopback names, and to `allowed_hosts` (see hosts.py). `site` is what the page
    says of itself.
    """
    routes = _Routes(folders or Folders.default(), public_key, site)
    app = Starlette(
        routes=[
            Route("/", routes.index),
            Route("/slmweb.js", routes.api_bundle),
            Route("/slmweb.d.ts", routes.api_bundle),
            Route("/sw.js", routes.service_worker),
            Route("/assets/{name}", routes.asset),
            Route("/wasm/{name}", routes.wasm),
            Route(f"/{MODEL_LIST}", routes.models),
            Route("/models/{model}/manifest.json", routes.manifest),
            Route("/models/{model}/manifest.json.sig", routes.signature),
            Route("/models/{model}/{chunk}", routes.chunk),
        ],
        exception_handlers={HTTPException: routes.http_error, Exception: routes.crash},
    )
    # They would name this server's address, where a proxy may have another name and a longer path.
    app.router.redirect_slashes = False
    # From outside: Starlette's own error responses, and refusals, must be sealed as well.
    return SealMiddleware(HostMiddleware(app, allowed_hosts), routes.pages.current_hash)


def missing_parts(folders: Folders) -> list[str]:
    """What the page will lack, as sentences; empty when all of it is built."""
    sentences = []
    try:
        PageCache(folders.web, folders.wasm).index()
    except SlmError as error:
        sentences.append(error.message)
    missing = [v for v in paths.VARIANTS if not (folders.wasm / f"slm-{v}.wasm").is_file()]
    if missing:
        sentences.append(
            f"the core is not built in {', '.join(missing)}; {paths.how_to_get('make wasm')}"
        )
    return sentences


def not_found(sentence: str) -> HTTPException:
    return HTTPException(404, sentence)


class _Routes:
    def __init__(self, folders: Folders, public_key: PublicKey | None, site: Site | None) -> None:
        self.folders = folders
        self.pages = PageCache(folders.web, folders.wasm, site=site, public_key=public_key)
        self.model_folder = ModelFolder(folders.models)

    async def index(self, request: Request) -> Response:
        try:
            return _page_response(request, self.pages.index())
        except SlmError as error:
            raise HTTPException(503, error.message) from None

    async def service_worker(self, request: Request) -> Response:
        try:
            return _page_response(request, self.pages.service_worker())
        except SlmError as error:
            raise HTTPException(503, error.message) from None

    async def asset(self, request: Request) -> Response:
        name = request.path_params["name"]
        if ASSET_NAME.fullmatch(name):
            cache_control = IMMUTABLE if hashed(name) else REVALIDATE
            with suppress(SlmError):
                if (made := self.pages.made().get(name)) is not None:
                    page = Page.of(made, MEDIA_TYPES[Path(name).suffix])
                    return _page_response(request, page, cache_control)
            try:
                return send_file(
                    request,
                    self.folders.web,
                    name,
                    cache_control=cache_control,
                    precompressed=True,
                )
            except OSError:
                pass
        raise not_found(
            f"there is no asset {name!r} in the page that is served now; "
            "reload the page to get the current names"
        )

    async def api_bundle(self, request: Request) -> Response:
        try:
            name = self.pages.asset(request.url.path.rpartition("/")[2])
            return send_file(
                request, self.folders.web, name, cache_control=REVALIDATE, precompressed=True
            )
        except (SlmError, OSError):
            raise not_found(
                f"the API bundle is not built; {paths.how_to_get('make web')}"
            ) from None

    async def wasm(self, request: Request) -> Response:
        name = request.path_params["name"]
        variant = name.removesuffix(".wasm")
        if variant not in paths.VARIANTS or variant == name:
            known = ", ".join(f"{variant}.wasm" for variant in paths.VARIANTS)
            raise not_found(f"there is no wasm variant {name!r}; there are {known}")
        try:
            return send_file(
                request,
                self.folders.wasm,
                f"slm-{name}",
                cache_control=REVALIDATE,
                precompressed=True,
            )
        except OSError:
            raise not_found(
                f"the variant {variant} is not built; {paths.how_to_get('make wasm')}"
            ) from None

    async def models(self, request: Request) -> Response:
        listing = Page.of(self.model_folder.listing(), "application/json")
        return _page_response(request, listing)

    async def manifest(self, request: Request) -> Response:
        model = self._model(request)
        try:
            return send_file(
                request,
                self.folders.models,
                f"{model}/{MANIFEST}",
                cache_control=REVALIDATE,
                precompressed=True,
            )
        except OSError:
            raise self._no_model(model) from None

    async def signature(self, request: Request) -> Response:
        model = self._model(request)
        try:
            return send_file(
                request, self.folders.models, f"{model}/{SIGNATURE}", cache_control=REVALIDATE
            )
        except OSError:
            if not (self.folders.models / model / MANIFEST).is_file():
                raise self._no_model(model) from None
            raise not_found(f"model {model!r} is not signed; `slmweb sign` does that") from None

    async def chunk(self, request: Request) -> Response:
        model, chunk = self._model(request), request.path_params["chunk"]
        if CHUNK_NAME.fullmatch(chunk):
            try:
                return send_file(
                    request,
                    self.folders.models,
                    f"{model}/{chunk}",
                    cache_control=IMMUTABLE,
                    etag=chunk,
                )
            except OSError:
                pass
        if not (self.folders.models / model / MANIFEST).is_file():
            raise self._no_model(model)
        raise not_found(
            f"model {model!r} has no chunk {chunk!r}; its chunks are named by their SHA-256 "
            f"in models/{model}/manifest.json, which may have changed since you fetched it"
        )

    def _model(self, request: Request) -> str:
        model: str = request.path_params["model"]
        if not MODEL_NAME.fullmatch(model):
            raise self._no_model(model)
        return model

    def _no_model(self, model: str) -> HTTPException:
        names = ", ".join(entry["name"] for entry in self.model_folder.entries())
        offer = f"there are {names}" if names else "this server has none yet"
        return not_found(f"there is no model {model!r}; {offer} (see {MODEL_LIST})")

    async def http_error(self, request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        sentence = error.detail
        if error.status_code == 404 and sentence == "Not Found":
            sentence = (
                f"there is nothing at {request.url.path}; the chat page is at the top of this "
                f"site, the list of models at {MODEL_LIST}"
            )
        elif error.status_code == 405:
            sentence = f"{request.method} is not possible here; everything is fetched with GET"
        return self._error_response(request, error.status_code, sentence, error.headers)

    async def crash(self, request: Request, error: Exception) -> Response:
        log.error("%s %s failed", request.method, request.url.path, exc_info=error)
        sentence = "the server failed on this request; its log says why"
        return self._error_response(request, 500, sentence, None)

    def _error_response(
        self, request: Request, status: int, sentence: str, headers: object
    ) -> Response:
        sent = {**(headers if isinstance(headers, dict) else {}), "cache-control": "no-store"}
        # A person gets a page, a program one line.
        if "text/html" in request.headers.get("accept", ""):
            page = self.pages.error(status, sentence, _way_up(request))
            return HTMLResponse(page, status_code=status, headers=sent)
        return PlainTextResponse(sentence + "\n", status_code=status, headers=sent)


def _way_up(request: Request) -> str:
    """From the address that was asked for to the site's top, however long a path a proxy puts
    before both. Slashes that are encoded separate nothing."""
    raw: bytes = request.scope.get("raw_path") or request.url.path.encode()
    return "../" * (raw.partition(b"?")[0].count(b"/") - 1) or "./"


def _page_response(request: Request, page: Page, cache_control: str = REVALIDATE) -> Response:
    """A rendered page with validators, compressed where the client accepts it."""
    codings = accepted_codings(request.headers.get("accept-encoding", ""))
    gzipped = page.gzipped if "gzip" in codings else None
    tag = f'"{page.digest}{"-gzip" if gzipped else ""}"'
    headers = {"etag": tag, "cache-control": cache_control, "vary": "Accept-Encoding"}
    if etag_matches(request.headers.get("if-none-match"), tag):
        return Response(status_code=304, headers=headers)
    if gzipped:
        headers["content-encoding"] = "gzip"
    return Response(gzipped or page.body, media_type=page.media_type, headers=headers)
