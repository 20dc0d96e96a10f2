"""An answer that was begun is continued as transformers does it, for every family's
template; and where transformers gives up, or closes a thought that goes on, as the
model itself had begun it.
"""

from __future__ import annotations

import json
from typing import Any

import pytest
from transformers.utils.chat_template_utils import render_jinja_template

from slmweb.core import render
from slmweb.core.chat import conversation
from slmweb.core.provenance import Text
from tests.goldens.chat_templates import GOLDEN

TEMPLATES: dict[str, str] = json.loads(GOLDEN.read_text())["templates"]
FAMILIES = [name for name in TEMPLATES if name != "filters"]
VARIABLES: dict[str, Any] = {"bos_token": "<s>", "eos_token": "</s>", "date_string": "today"}
USER = {"role": "user", "content": "Count."}
BEGUN = [
    "One, two",
    "One, two, ",
    "One,\n\n",
    " One",
    "1 <|im_end|>",
    "<think>\nHm.\n</think>\n\nOne",
]


def ours(name: str, messages: list[dict[str, str]], continues: bool | None = None) -> Text:
    def rendered(some: Any, prompt: bool) -> Text:
        return render(TEMPLATES[name], some, add_generation_prompt=prompt, **VARIABLES)

    return conversation(rendered, messages, continues)


def theirs(name: str, messages: list[dict[str, str]], **options: Any) -> str:
    rendered: Any = render_jinja_template(
        [messages], chat_template=TEMPLATES[name], **VARIABLES, **options
    )
    return str(rendered[0][0])


@pytest.mark.parametrize("name", FAMILIES)
@pytest.mark.parametrize("content", BEGUN)
def test_an_answer_goes_on_where_transformers_has_it_go_on(name: str, content: str) -> None:
    messages = [USER, {"role": "assistant", "content": content}]
    try:
        expected = theirs(name, messages, continue_final_message=True)
    except ValueError:
        expected = theirs(name, [USER], add_generation_prompt=True) + content
    assert ours(name, messages) == expected
    assert ours(name, messages, True) == expected


@pytest.mark.parametrize("name", FAMILIES)
def test_a_new_turn_where_it_is_asked_for(name: str) -> None:
    messages = [USER, {"role": "assistant", "content": "One"}]
    assert ours(name, messages, False) == theirs(name, messages, add_generation_prompt=True)


@pytest.mark.parametrize("name", FAMILIES)
def test_a_thought_that_was_cut_goes_on_as_a_thought(name: str) -> None:
    content = "<think>\nFirst, "
    begun = ours(name, [USER, {"role": "assistant", "content": content}])
    assert begun == theirs(name, [USER], add_generation_prompt=True) + content
    assert begun.spans[-1] == (len(begun) - len(content), len(begun))


def test_a_user_s_message_goes_on_where_it_is_asked_for() -> None:
    messages = [{"role": "user", "content": "Why is the"}]
    expected = theirs("smollm2", messages, continue_final_message=True)
    assert ours("smollm2", messages, True) == expected
    assert expected.endswith("Why is the")
