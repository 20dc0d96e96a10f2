"""The engine of the page, in a real Chromium that nobody sees.

Packs the model, serves it together with the page's own files on the loopback
interface (the same server, headers and bundle that visitors get) and drives
`SLM.load` by Playwright, which is optional and asked for here only. The model's
header is read in Python as well, for its tokenizer: prompts are made in one
place, and the page has to count the same tokens.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ..core.instance import Variant
from ..core.model import Model, Progress
from ..errors import CODES, Code, SlmError
from ..pack.pack import pack
from ..server.app import Folders, create_app, missing_parts
from ..server.run import bind, url_of
from .engine import Generated, Timing
from .prompts import Continuation, Prompt

_NAME = "model"

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
    const {{ choices, usage, timings }} =
      await (kind === 'chat' ? slm.chat.completions : slm.completions).create(params);
    const [{{ message, text, finish_reason, logprobs }}] = choices;
    return {{
      text: message?.content ?? text, finish_reason, usage, timings,
      logprobs: logprobs?.token_logprobs ?? null,
    }};
  }});
}}"""


class BrowserEngine:
    """A model in Chromium. Close it after use.

    Raises SlmError "missing_extra" without Playwright, "unavailable" without a
    browser, "not_built" without the page's files.
    """

    def __init__(
        self,
        path: Path,
        *,
        n_ctx: int | None = None,
        variant: Variant | None = None,
        progress: Progress | None = None,
    ) -> None:
        self._stack = contextlib.ExitStack()
        try:
            self._open(path, n_ctx, variant, progress or (lambda done, total: None))
        except BaseException:
            self.close()
            raise

    def _open(
        self, path: Path, n_ctx: int | None, variant: Variant | None, progress: Progress
    ) -> None:
        start = _playwright()
        folder = Path(self._stack.enter_context(tempfile.TemporaryDirectory(prefix="slmweb-eval-")))
        folders = Folders.default(folder)
        for sentence in missing_parts(folders):
            raise SlmError("not_built", sentence)
        self.model = self._stack.enter_context(Model.open(path, weights=False))
        # A browser is quicker found missing than a model packed.
        self._page = self._stack.enter_context(_chromium(start))
        pack([path], folder / _NAME, name=_NAME, progress=progress)
        url = self._stack.enter_context(_served(folders))
        self._page.goto(f"{url}/models/")
        options: dict[str, Any] = {"n_ctx": n_ctx or self.model.default_n_ctx}
        if variant is not None:
            options |= {"variant": variant}
        info = self._evaluate(_LOAD, [f"/models/{_NAME}/manifest.json", options])
        self.n_ctx = int(info["n_ctx"])
        browser = self._page.context.browser
        version = browser.version.partition(".")[0] if browser else "?"
        threads = "1 thread" if info["threads"] == 1 else f"{info['threads']} threads"
        self.runtime = f"Chromium {version}, {info['variant']}, {threads}"

    def score(self, continuation: Continuation, timing: Timing) -> list[float]:
        if continuation.text is None:
            raise SlmError(
                "context_full",
                f"a text is longer than the context of {self.n_ctx} tokens, and a page predicts "
                "only texts that fit; cut it, or run without --browser",
            )
        prompt = self._without_bos(continuation.text, continuation.bos)
        answer = self._ask(
            "text", {"prompt": prompt, "echo": True, "logprobs": 0, "max_tokens": 0}, timing
        )
        self._check(answer, continuation.ids)
        logprobs: list[float] = answer["logprobs"][continuation.first :]
        return logprobs

    def generate(
        self, prompt: Prompt, max_tokens: int, temperature: float, seed: int, timing: Timing
    ) -> Generated:
        common = {"max_tokens": max_tokens, "temperature": temperature, "seed": seed}
        if prompt.messages:
            answer = self._ask("chat", {"messages": list(prompt.messages), **common}, timing)
        else:
            text = self._without_bos(prompt.text, prompt.bos)
            answer = self._ask("text", {"prompt": text, **common}, timing)
        self._check(answer, prompt.ids)
        return Generated(answer["text"], answer["finish_reason"])

    def forget(self) -> None:
        """Nothing to do: the page makes the same text of a request whatever its cache holds."""

    def close(self) -> None:
        # After Ctrl-C, which reaches Chromium too, there may be nothing left to close.
        with contextlib.suppress(Exception):
            self._stack.close()

    def _without_bos(self, text: str, bos: bool) -> str:
        """The page adds BOS where the model asks for it, so a template's own has to go."""
        info = self.model.info
        if bos or not info["add_bos"] or info["bos"] is None:
            return text
        token = self.model.tokenizer.decode([info["bos"]], special=True)
        return text.removeprefix(token.decode("utf-8", "replace"))

    def _check(self, answer: dict[str, Any], ids: tuple[int, ...]) -> None:
        found = answer["usage"]["prompt_tokens"]
        if found != len(ids):
            raise SlmError(
                "unsupported",
                f"the page reads a prompt as {found} tokens that are {len(ids)} here (text that "
                "looks like a special token?); run without --browser",
            )

    def _ask(self, kind: str, params: dict[str, Any], timing: Timing) -> dict[str, Any]:
        answer = self._evaluate(_ASK, [kind, params])
        numbers = answer["timings"]
        timing.prefill_tokens += numbers["prefill_tokens"]
        timing.prefill_seconds += numbers["prefill_ms"] / 1000
        timing.decode_tokens += numbers["decode_tokens"]
        timing.decode_seconds += numbers["decode_ms"] / 1000
        if timing.first_token_seconds is None:
            timing.first_token_seconds = numbers["prefill_ms"] / 1000
        return answer

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


def _playwright() -> Any:
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        raise SlmError(
            "missing_extra",
            "--browser needs Playwright, which is not installed; run `pip install playwright` "
            "and, where there is no Chromium, `playwright install chromium`",
        ) from None
    return sync_playwright


@contextlib.contextmanager
def _chromium(start: Any) -> Iterator[Any]:
    """A blank page; the system's Chromium is taken before Playwright's own."""
    names = ("chromium", "chromium-browser", "google-chrome")
    found = next(filter(None, map(shutil.which, names)), None)
    # As root, as in a container, Chromium has no other way.
    root = hasattr(os, "geteuid") and os.geteuid() == 0
    with start() as playwright:
        try:
            browser = playwright.chromium.launch(
                executable_path=found, args=["--no-sandbox"] if root else []
            )
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
