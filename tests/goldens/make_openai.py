"""Golden of OpenAI's parameters: every name that the official client's types give
a request, for our API to answer each of them by its own name.

  npm pack openai@7.57.0 && tar xzf openai-7.57.0.tgz
  python -m tests.goldens.make_openai package
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

GOLDEN = Path(__file__).with_name("openai_parameters.json")
TYPES = {
    "chat": ("resources/chat/completions/completions.d.ts", "ChatCompletionCreateParamsBase"),
    "completion": ("resources/completions.d.ts", "CompletionCreateParamsBase"),
}


def names(text: str, interface: str) -> list[str]:
    """The fields of one interface, in alphabetical order."""
    found = re.search(rf"export interface {interface} .*?\{{\n(.*?)\n\}}", text, re.DOTALL)
    if found is None:
        raise SystemExit(f"expected the interface {interface}, found none: another version?")
    return sorted(re.findall(r"^ {4}(\w+)\??:", found[1], re.MULTILINE))


def main(package: Path) -> None:
    version = json.loads((package / "package.json").read_text())["version"]
    golden = {
        "made_by": f"openai {version} (npm), python -m tests.goldens.make_openai",
        **{kind: names((package / file).read_text(), name) for kind, (file, name) in TYPES.items()},
    }
    GOLDEN.write_text(json.dumps(golden, indent=1) + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
