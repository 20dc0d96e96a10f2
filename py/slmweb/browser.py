"""A model in the page's engine, in a real Chromium that nobody sees.

Serves a packed model together with the page's own files on the loopback interface (the same
server, headers and bundle that visitors get) and drives `SLM.load` by Playwright, which is optional
and asked for here only. What is done with the model is its users' business.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

from .core.files import is_pack
from .core.instance import Variant
from .core.loading import Progress
from .errors import CODES, Code, SlmError
from .pack.manifest import MODEL_NAME
from .pack.pack import pack
from .server.app import Folders, create_app, missing_parts
from .server.run import bind, url_of

Backend = Literal["auto", "webgpu", "cpu"]

# An error crosses as {error, code}; what page.evaluate would make of it is a trace.
_OUTCOME = """
  const outcome = async (work) => {
    try { return await work(); }
    catch (error) { return { error: String(error.message ?? error), code: error.code ?? '' }; }
  };
"""
_LOAD = f"""async ([url, options]) => {{ {_OUTCOME}
  return outcome(async () => {{
    const {{ SLM }} = await import('/slmweb.js');
    globalThis.slm = await SLM.load(url, {{ baseUrl: '/', storage: 'memory', ...options }});
    return slm.info;
  }});
}}"""
_ASK = f"""async ([kind, params]) => {{ {_OUTCOME}
  return outcome(async () => {{
    if (kind === 'guard') {{
      const verdict = await slm.guard.check(params);
      return {{ ...verdict, timings: slm.stats().timings, info: slm.info }};
    }}
    const {{ choices, usage, timings }} =
      await (kind === 'chat' ? slm.chat.completions : slm.completions).create(params);
    const [{{ message, text, finish_reason, logprobs }}] = choices;
    return {{
      text: message?.content ?? text, finish_reason, usage, timings, info: slm.info,
      tool_calls: message?.tool_calls ?? [],
      logprobs: logprobs?.token_logprobs ?? null,
    }};
  }});
}}"""
_FACTS = "async () => ({ info: slm.info, stats: slm.stats() })"


class PageModel:
    """A GGUF file or a packed model in Chromium, on the CPU unless `backend` says otherwise. Close
    it after use.

    Raises SlmError "missing_extra" without Playwright, "unavailable" without a
    browser or, where the `backend` "webgpu" is wanted, without a GPU that passes its checks,
    "not_built" without the page's files, "invalid_argument" for a folder that no page can name.
    """

    def __init__(
        self,
        path: Path,
        *,
        n_ctx: int,
        variant: Variant | None = None,
        backend: Backend | None = None,
        progress: Progress | None = None,
    ) -> None:
        self._stack = contextlib.ExitStack()
        try:
            self._open(
                path, n_ctx, variant, backend or "cpu", progress or (lambda done, total: None)
            )
        except BaseException:
            self.close()
            raise

    def _open(
        self,
        path: Path,
        n_ctx: int,
        variant: Variant | None,
        backend: Backend,
        progress: Progress,
    ) -> None:
        start = _playwright()
        if is_pack(path):
            name, models = packed_name(path), path.resolve().parent
        else:
            room = tempfile.TemporaryDirectory(prefix="slmweb-page-")
            name, models = "model", Path(self._stack.enter_context(room))
        folders = Folders.default(models)
        for sentence in missing_parts(folders):
            raise SlmError("not_built", sentence)
        gpu = backend != "cpu"
        # A browser is quicker found missing than a model packed.
        self._page = self._stack.enter_context(_chromium(start, gpu))
        if not is_pack(path):
            # Only a GPU has to prove itself.
            pack([path], models / name, name=name, with_known_answer=gpu, progress=progress)
        url = self._stack.enter_context(_served(folders))
        self._page.goto(f"{url}/models/")
        options: dict[str, Any] = {"n_ctx": n_ctx, "backend": backend}
        options |= {"variant": variant} if variant is not None else {}
        start_s = time.perf_counter()
        self.info = self._evaluate(_LOAD, [f"/models/{name}/manifest.json", options])
        self.load_seconds = time.perf_counter() - start_s
        if backend == "webgpu" and self.info["backend"] != "webgpu":
            raise SlmError(
                "unavailable",
                "the model does not compute on the GPU in this Chromium: "
                + str(self.info["backend_reason"]).rstrip("."),
            )

    @property
    def runtime(self) -> str:
        """What computes now, in a line."""
        browser = self._page.context.browser
        version = browser.version.partition(".")[0] if browser else "?"
        info = self.facts()["info"]
        if info["gpu"] is not None:
            return f"Chromium {version}, WebGPU, {device_name(info)}"
        threads = "1 thread" if info["threads"] == 1 else f"{info['threads']} threads"
        return f"Chromium {version}, {info['variant']}, {threads}"

    def ask(self, kind: Literal["chat", "text", "guard"], params: dict[str, Any]) -> dict[str, Any]:
        """What the API answers to a request. Raises SlmError "unavailable" when a GPU was lost or
        given up since the model was loaded: what is computed with another one, or on the CPU,
        belongs to no figures of this one."""
        answer = self._evaluate(_ASK, [kind, params])
        info = answer.pop("info")
        if (info["backend"], _losses(info)) != (self.info["backend"], _losses(self.info)):
            raise SlmError(
                "unavailable",
                "the GPU failed while it was measured, and figures of two devices are not mixed "
                f"({str(info['backend_reason']).rstrip('.')}); try again, or with --backend cpu",
            )
        return answer

    def facts(self) -> dict[str, Any]:
        """`info` and `stats` as they are now: a GPU may have been lost meanwhile."""
        return self._evaluate(_FACTS, [])

    def close(self) -> None:
        # After Ctrl-C, which reaches Chromium too, there may be nothing left to close.
        with contextlib.suppress(Exception):
            self._stack.close()

    def _evaluate(self, script: str, argument: list[Any]) -> dict[str, Any]:
        try:
            found: dict[str, Any] = self._page.evaluate(script, argument)
        except Exception as error:
            if not type(error).__module__.startswith("playwright"):
                raise
            raise SlmError(
                "crashed", f"Chromium failed ({_first_line(error)}); try again"
            ) from None
        if "error" in found:
            code: Code = found["code"] if found["code"] in CODES else "crashed"
            raise SlmError(code, str(found["error"]).rstrip("."))
        return found


def packed_name(path: Path) -> str:
    """What a page calls a packed model: its folder's name, also where that was renamed."""
    name = path.resolve().name
    if not MODEL_NAME.fullmatch(name):
        raise SlmError(
            "invalid_argument",
            f"a page cannot fetch a model from the folder {name!r}: expected lower-case letters, "
            "digits, '.', '_' and '-'; rename it",
        )
    return name


def _losses(info: dict[str, Any]) -> int:
    return int(info["gpu"]["losses"]) if info["gpu"] is not None else 0


def device_name(info: dict[str, Any]) -> str:
    """What a model's GPU is called: the first of its names that says something."""
    adapter = info["gpu"]["adapter"]
    names = (adapter["vendor"], adapter["device"] or adapter["architecture"])
    short = " ".join(filter(None, names))
    return adapter["description"] or short or "a GPU"


def _playwright() -> Any:
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        raise SlmError(
            "missing_extra",
            "a browser needs Playwright, which is not installed; run `pip install playwright` "
            "and, where there is no Chromium, `playwright install chromium`",
        ) from None
    return sync_playwright


def gpu_switches() -> list[str]:
    """Headless Chromium has no GPU of its own accord. Where there is none, it emulates one."""
    vulkan = ["--enable-features=Vulkan"] if sys.platform == "linux" else []
    return ["--enable-unsafe-webgpu", *vulkan]


@contextlib.contextmanager
def _chromium(start: Any, gpu: bool) -> Iterator[Any]:
    """A blank page; the system's Chromium is taken before Playwright's own."""
    names = ("chromium", "chromium-browser", "google-chrome")
    found = next(filter(None, map(shutil.which, names)), None)
    arguments = []
    if hasattr(os, "geteuid") and os.geteuid() == 0:
        arguments.append("--no-sandbox")  # as root, as in a container, there is no other way
    if gpu:
        arguments += gpu_switches()
    with start() as playwright:
        try:
            browser = playwright.chromium.launch(executable_path=found, args=arguments)
        except Exception as error:
            raise SlmError(
                "unavailable",
                f"Chromium does not start ({_first_line(error)}); install it, for example by "
                "`playwright install chromium`",
            ) from None
        try:
            yield browser.new_context().new_page()
        finally:
            browser.close()


@contextlib.contextmanager
def _served(folders: Folders) -> Iterator[str]:
    """The site on a free port of the loopback interface; yields its address."""
    import uvicorn

    listener: socket.socket = bind("127.0.0.1", 0)
    config = uvicorn.Config(
        create_app(folders), log_config=None, lifespan="off", ws="none", timeout_graceful_shutdown=1
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    try:
        yield url_of(listener)
    finally:
        server.should_exit = True
        thread.join(10)
        listener.close()


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
