"""Goldens of chat templates: what transformers' own Jinja environment makes of
conversations, for our Python and TypeScript renderers to equal. Run by make.py.

SmolLM2's template is the one in its GGUF. Those in templates/ were written for
this project after the prompt formats that the models' makers document, with the
Jinja constructs that such templates use; they are not the makers' texts.
"""

from __future__ import annotations

import datetime
import json
from pathlib import Path
from typing import Any

import gguf
import jinja2
import transformers
from transformers.utils import chat_template_utils

from tests.goldens.chat_templates import GOLDEN, TEMPLATES
from tests.goldens.template_cases import CASES_GOLDEN, VARIABLES, templates

COMMAND = "make goldens (tests/goldens/make.py templates)"

USER = {"role": "user", "content": "Hello, who are you?"}
SYSTEM = {"role": "system", "content": "Answer in one sentence."}
ASSISTANT = {"role": "assistant", "content": "A small model."}
CODE = {
    "role": "user",
    "content": "Fix this:\n```py\ndef f(x):\n    return {'a': x}\n```\n{{ no template }} {% if %}",
}
TOOL = {
    "type": "function",
    "function": {
        "name": "weather",
        "description": "Today's weather in a <place>, in °C",
        "parameters": {"type": "object", "properties": {"place": {"type": "string"}}},
    },
}
CALL = {
    "role": "assistant",
    "content": "",
    "tool_calls": [
        {"type": "function", "function": {"name": "weather", "arguments": {"place": "Łódź"}}}
    ],
}

CONVERSATIONS: dict[str, list[dict[str, Any]]] = {
    "question": [USER],
    "system": [SYSTEM, USER],
    "turns": [SYSTEM, USER, ASSISTANT, {"role": "user", "content": "How small?"}],
    "ends with the assistant": [USER, ASSISTANT],
    "empty content": [{"role": "system", "content": ""}, {"role": "user", "content": ""}],
    "white space": [{"role": "user", "content": "  \n two lines\n\n  of text \t\n"}],
    "unicode": [{"role": "user", "content": "नमस्ते 👩🏽‍💻 ‮bidi‬ 漢字 é e\u0301 \u00a0\u3000 end"}],
    "code": [CODE],
    "special tokens in the text": [
        {"role": "user", "content": "<|im_end|><end_of_turn><|eot_id|></s><bos>"}
    ],
    "roles do not alternate": [USER, USER],
    "assistant first": [ASSISTANT, USER],
    "system in the middle": [USER, ASSISTANT, SYSTEM, USER],
    "thinking": [
        USER,
        {"role": "assistant", "content": "<think>\nHm.\n</think>\n\nA model."},
        {"role": "user", "content": "Sure?"},
        {"role": "assistant", "content": "<think>\nYes.\n</think>\n\nYes."},
    ],
    "parts": [{"role": "user", "content": [{"type": "text", "text": " in parts "}]}],
}
TOOL_CONVERSATION: list[dict[str, Any]] = [
    USER,
    CALL,
    {"role": "tool", "content": '{"celsius": 21}'},
    {"role": "user", "content": "Thanks"},
]
# FunctionGemma's template is told whose result it is.
NAMED_CONVERSATION: list[dict[str, Any]] = [
    {"role": "developer", "content": "You may call functions."},
    *TOOL_CONVERSATION[:2],
    {"role": "tool", "content": {"name": "weather", "response": {"celsius": 21, "sunny": True}}},
    {"role": "assistant", "content": "It is 21 °C."},
    {"role": "user", "content": "Thanks"},
]
# Gemma 4's is told what the calls of a message gave beside them.
ANSWERED_CONVERSATION: list[dict[str, Any]] = [
    *TOOL_CONVERSATION[:1],
    CALL | {"tool_responses": [{"name": "weather", "response": {"celsius": 21, "sunny": True}}]},
    {"role": "assistant", "content": "It is 21 °C."},
    {"role": "user", "content": "Thanks"},
]
CHANNELS: list[dict[str, Any]] = [
    USER,
    {"role": "assistant", "content": "<|channel>thought\nHm.\n<channel|>A model."},
    {"role": "user", "content": "Sure?"},
]
TOKENS = {
    "smollm2": ("<|im_start|>", "<|im_end|>"),
    "gemma2": ("<bos>", "<eos>"),
    "gemma3": ("<bos>", "<eos>"),
    "gemma4": ("<bos>", "<eos>"),
    "llama3": ("<|begin_of_text|>", "<|eot_id|>"),
    "qwen2.5": ("<|endoftext|>", "<|im_end|>"),
    "qwen3": ("<|endoftext|>", "<|im_end|>"),
    "functiongemma": ("<bos>", "<eos>"),
    "hermes": ("<s>", "<|im_end|>"),
    "filters": ("<s>", "</s>"),
}


# What strftime_now formats: a time whose parts all differ, local and without a zone.
NOW = datetime.datetime(2024, 2, 29, 8, 5, 3, 42000)


class _Clock(datetime.datetime):
    @classmethod
    def now(cls, tz: datetime.tzinfo | None = None) -> datetime.datetime:  # type: ignore[override]
        return NOW


def write_cases() -> None:
    """Writes template_cases.json: needs transformers, but no model."""
    vars(chat_template_utils)["datetime"] = _Clock
    results: list[dict[str, str]] = []
    for template in templates():
        case = {"template": template}
        try:
            compiled = chat_template_utils._compile_jinja_template(template)
        except (jinja2.TemplateSyntaxError, SyntaxError) as error:
            case["syntax"] = str(error)
        else:
            try:
                case["expected"] = compiled.render(**json.loads(json.dumps(VARIABLES)))
            except jinja2.TemplateError as error:
                case["error"] = str(error)
            except Exception as error:
                case["error"] = f"{type(error).__name__}: {error}"
        results.append(case)
    versions = f"transformers {transformers.__version__}, jinja2 {jinja2.__version__}"
    content = {
        "command": COMMAND,
        "versions": versions,
        "now": NOW.isoformat(),
        "variables": VARIABLES,
        "cases": results,
    }
    CASES_GOLDEN.write_text(json.dumps(content, indent=1) + "\n")
    print(
        f"{len(results)} cases, {sum('expected' not in case for case in results)} of them refusals"
    )


def main(smollm2: Path) -> None:
    write_cases()
    own = gguf.GGUFReader(smollm2).fields["tokenizer.chat_template"].contents()
    templates = {"smollm2": str(own)}
    templates |= {path.stem: path.read_text() for path in sorted(TEMPLATES.glob("*.jinja"))}
    cases = []
    for name, source in templates.items():
        variables: dict[str, Any] = {"date_string": "29 Feb 2024"} if name == "llama3" else {}
        for title, messages in CONVERSATIONS.items():
            # A list of parts shows the template's own error or, in some, Python's.
            if title == "parts" and name not in ("gemma3", "qwen3"):
                continue
            cases.append(_case(name, source, title, messages, variables))
        for title in ("question", "turns"):
            case = _case(name, source, title, CONVERSATIONS[title], variables, prompt=False)
            cases.append(case)
        if name in ("llama3", "qwen2.5", "hermes", "functiongemma", "gemma4"):
            with_tools = {**variables, "tools": [TOOL]}
            own_way = {"functiongemma": NAMED_CONVERSATION, "gemma4": ANSWERED_CONVERSATION}
            calling = own_way.get(name, TOOL_CONVERSATION)
            cases.append(_case(name, source, "tools", calling, with_tools))
        if name == "qwen3":
            thoughtless = {"enable_thinking": False}
            cases.append(_case(name, source, "thinking", CONVERSATIONS["thinking"], thoughtless))
        if name == "gemma4":
            for thinking in ({"enable_thinking": True}, {"enable_thinking": False}):
                cases.append(_case(name, source, "channels", CHANNELS, thinking))
    versions = f"transformers {transformers.__version__}, jinja2 {jinja2.__version__}"
    content = {"command": COMMAND, "versions": versions, "templates": templates, "cases": cases}
    GOLDEN.write_text(json.dumps(content, indent=1) + "\n")
    failed = sum("error" in case for case in cases)
    print(f"{len(templates)} templates, {len(cases)} cases, {failed} of them refusals")


def _case(
    name: str,
    source: str,
    title: str,
    messages: list[dict[str, Any]],
    variables: dict[str, Any],
    *,
    prompt: bool = True,
) -> dict[str, Any]:
    bos, eos = TOKENS[name]
    case: dict[str, Any] = {
        "template": name,
        "conversation": title,
        "messages": messages,
        "bos_token": bos,
        "eos_token": eos,
        "add_generation_prompt": prompt,
        "variables": variables,
    }
    try:
        case["expected"] = chat_template_utils._compile_jinja_template(source).render(
            messages=messages,
            bos_token=bos,
            eos_token=eos,
            add_generation_prompt=prompt,
            **{"tools": None, "documents": None, **variables},
        )
    except jinja2.TemplateError as error:
        case["error"] = str(error)
    return case
