"""Chat templates: transformers' environment, its sandbox, and sentences for failures."""

from __future__ import annotations

import datetime
from pathlib import Path

import pytest

from slmweb.core import Model, chat_prompt, render
from slmweb.errors import SlmError
from tests.py.models import CHATML, with_template

TURNS = [
    {"role": "system", "content": "Be brief."},
    {"role": "user", "content": "Hi <b>&\n"},
]


def test_blocks_are_trimmed_and_nothing_is_escaped() -> None:
    template = """
    {% for message in messages %}
        {% if message.role == 'system' %}
[{{ message.content }}]
        {% else %}
({{ message['content'] }})
        {% endif %}
    {% endfor %}
""".lstrip("\n")
    assert render(template, TURNS) == "[Be brief.]\n(Hi <b>&\n)\n"


def test_what_templates_expect_is_there() -> None:
    template = (
        "{{ bos_token }}{% for m in messages %}{% if loop.first %}{% continue %}{% endif %}"
        "{% generation %}{{ m | tojson }}{% endgeneration %}{% endfor %}"
        "{{ strftime_now('%d %b %Y') }}{% if add_generation_prompt %}>{% endif %}{{ eos_token }}"
        "{{ tools is defined }}{{ extra }}"
    )
    text = render(
        template,
        TURNS,
        bos_token="<s>",
        eos_token="</s>",
        now=datetime.datetime(2026, 7, 4),
        extra="!",
    )
    assert text == ('<s>{"role": "user", "content": "Hi <b>&\\n"}04 Jul 2026></s>True!')


@pytest.mark.parametrize(
    ("template", "reason"),
    [
        ("{{ raise_exception('roles must alternate') }}", "roles must alternate"),
        ("{{ messages[7]['content'] }}", "has no element 7"),
        ("{{ 1 / 0 }}", "division by zero"),
        ("{{ messages + 1 }}", "concatenate"),
        ("{% for", "unexpected"),
        ("{{ ''.__class__.__mro__ }}", "unsafe"),
        ("{{ messages.append(1) }}", "unsafe"),
        ("{{ lipsum.__globals__['os'].popen('id') }}", "unsafe"),
        ("{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}", "nests too deeply"),
        ("{% include '/etc/passwd' %}", "no loader"),
    ],
)
def test_a_template_that_fails_is_one_sentence(template: str, reason: str) -> None:
    with pytest.raises(SlmError, match=reason) as caught:
        render(template, TURNS)
    assert caught.value.code == "bad_template"
    assert "\n" not in caught.value.message


def test_the_prompt_is_tokenized_with_its_special_tokens(qwen2: Path) -> None:
    with Model.open(qwen2, weights=False) as model:
        ids = chat_prompt(model, TURNS)
        text = render(CHATML, TURNS)
        assert model.tokenizer.decode(ids, special=True).decode() == text
        assert ids.count(model.tokenizer.encode("<|im_start|>")[0]) == 3


def test_bos_comes_once_whether_or_not_the_template_writes_it(llama: Path, tmp_path: Path) -> None:
    for number, template in enumerate(("{{ bos_token }}e", "e")):
        path = with_template(llama, tmp_path / f"{number}.gguf", template)
        with Model.open(path, weights=False) as model:
            ids = chat_prompt(model, TURNS)
            assert ids[0] == model.info["bos"]
            assert ids.count(ids[0]) == 1


def test_a_model_without_a_template_says_so(llama: Path) -> None:
    with (
        Model.open(llama, weights=False) as model,
        pytest.raises(SlmError, match="no chat template") as caught,
    ):
        chat_prompt(model, TURNS)
    assert caught.value.code == "bad_template"
