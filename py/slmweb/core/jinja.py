"""Jinja as transformers sets it up, in which texts remember where they came from.

Owns the environment (immutable sandbox, trimmed blocks, loop controls,
`raise_exception`, `strftime_now`, a `tojson` that does not escape HTML) and the
places where plain Jinja would forget a text's mask. A template is somebody
else's program, so it runs in Jinja's sandbox.
"""

from __future__ import annotations

import datetime
import functools
import string
from collections.abc import Callable
from typing import Any, NoReturn

import jinja2
from jinja2 import nodes, utils
from jinja2.compiler import CodeGenerator, Frame
from jinja2.exceptions import FilterArgumentError
from jinja2.ext import Extension, loopcontrols
from jinja2.filters import _word_beginning_split_re
from jinja2.parser import Parser
from jinja2.sandbox import ImmutableSandboxedEnvironment, SandboxedFormatter
from markupsafe import Markup

from . import provenance
from .provenance import Text, doubtful, joined, shown


class _Generation(Extension):
    """`{% generation %}` marks the assistant's text for training; here it is its body."""

    tags = {"generation"}  # noqa: RUF012

    def parse(self, parser: Parser) -> nodes.Node:
        lineno = next(parser.stream).lineno
        body = parser.parse_statements(("name:endgeneration",), drop_needle=True)
        return nodes.Scope(body, lineno=lineno)


class _Generator(CodeGenerator):
    def visit_Concat(self, node: nodes.Concat, frame: Frame) -> None:  # noqa: N802 (Jinja's)
        self.write("environment.concat((")
        for part in node.nodes:
            self.visit(part, frame)
            self.write(", ")
        self.write("))")


class _Namespace(utils.Namespace):
    """No name of it begins with an underscore, as in transformers."""

    def __init__(*args: Any, **kwargs: Any) -> None:
        self, positional = args[0], args[1:]
        attributes = dict(*positional, **kwargs)
        for name in attributes:
            _Namespace._check(name)
        utils.Namespace.__init__(self, attributes)

    def __setitem__(self, name: str, value: Any) -> None:
        _Namespace._check(name)
        utils.Namespace.__setitem__(self, name, value)

    @staticmethod
    def _check(name: Any) -> None:
        if isinstance(name, str) and name.startswith("_"):
            raise jinja2.exceptions.SecurityError(
                f"a namespace cannot have the underscore-prefixed attribute {str.__str__(name)!r}"
            )


class _Dict:
    """dict() without what else its type can do."""

    def __call__(self, *args: Any, **kwargs: Any) -> dict[Any, Any]:
        return dict(*args, **kwargs)

    def fromkeys(self, *args: Any) -> dict[Any, Any]:
        return dict.fromkeys(*args)


class Environment(ImmutableSandboxedEnvironment):
    """`now` is what `strftime_now` formats."""

    code_generator_class = _Generator
    concat = staticmethod(joined)
    intercepted_binops = frozenset(["%"])

    def __init__(self, now: Callable[[], datetime.datetime] = datetime.datetime.now) -> None:
        super().__init__(
            trim_blocks=True,
            lstrip_blocks=True,
            extensions=[loopcontrols, _Generation],
            finalize=shown,
        )
        for name, function in self.filters.items():
            self.filters[name] = _followed(function)
        self.filters.update(
            tojson=_tojson, title=_title, indent=_indent, join=_join, safe=_safe, format=_format
        )
        self.globals.update(
            raise_exception=_raise_exception,
            strftime_now=lambda pattern: now().strftime(pattern),
            dict=_Dict(),
            namespace=_Namespace,
        )

    def getattr(self, obj: Any, attribute: str) -> Any:
        return super().getattr(_marked(obj), attribute)

    def getitem(self, obj: Any, argument: Any) -> Any:
        return super().getitem(_marked(obj), argument)

    def call_binop(self, context: Any, operator: str, left: Any, right: Any) -> Any:
        if isinstance(left, str) and not isinstance(left, Markup):
            return provenance.percent(left, right)
        return super().call_binop(context, operator, left, right)

    def wrap_str_format(self, value: Any) -> Callable[..., str] | None:
        wrapped = super().wrap_str_format(value)
        template = getattr(value, "__self__", None)
        if wrapped is None or not isinstance(template, Text):
            return wrapped

        def run(*args: Any, **kwargs: Any) -> str:
            result = str.__str__(wrapped(*args, **kwargs))
            if value.__name__ == "format_map":
                return _formatted(self, template, (), args[0], result)
            return _formatted(self, template, args, kwargs, result)

        return run


def _marked(value: Any) -> Any:
    """Methods of a plain str would forget where their arguments came from."""
    return Text(value) if type(value) is str else value


def _followed(function: Callable[..., Any]) -> Callable[..., Any]:
    """A filter whose result counts as a message's where it forgets that a part of it is."""

    @functools.wraps(function)
    def run(*args: Any, **kwargs: Any) -> Any:
        args = tuple(map(_marked, args))
        result = function(*args, **kwargs)
        return doubtful(result, args, kwargs) if type(result) is str else result

    return run


def _formatted(
    environment: Environment, template: Text, args: Any, kwargs: Any, result: str
) -> Text:
    """The result of str.format, with masks where the template is not a message's itself."""
    formatter = SandboxedFormatter(environment)
    pieces: list[str] = []
    automatic = 0
    for literal, name, spec, conversion in string.Formatter().parse(template):
        pieces.append(literal)
        if name is None:
            continue
        if name[:1] in ("", ".", "["):
            name, automatic = f"{automatic}{name}", automatic + 1
        value, _ = formatter.get_field(name, args, kwargs)
        if not spec and conversion in (None, "s"):
            pieces.append(shown(value))
        elif "{" in (spec or ""):
            return doubtful(result, template, args, kwargs)
        else:
            converted = formatter.convert_field(value, conversion)
            pieces.append(doubtful(format(converted, spec or ""), value))
    found = joined(pieces)
    whole = str.__eq__(found, result) and not provenance.is_foreign(template)
    return found if whole else doubtful(result, template, args, kwargs)


def _raise_exception(message: Any) -> NoReturn:
    raise jinja2.TemplateError(message)


def _tojson(
    value: Any,
    ensure_ascii: bool = False,
    indent: int | str | None = None,
    separators: tuple[str, str] | None = None,
    sort_keys: bool = False,
) -> Text:
    return provenance.dumps(
        value, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys
    )


def _title(value: Any) -> Text:
    text, words, at = Text(shown(value)), [], 0
    for piece in _word_beginning_split_re.split(str.__str__(text)):
        word = text[at : at + len(piece)]
        at += len(piece)
        if piece:
            words.append(word[0].upper() + word[1:].lower())
    return joined(words)


def _indent(value: Any, width: int | str = 4, first: bool = False, blank: bool = False) -> Any:
    prefix = Text(width if isinstance(width, str) else " " * width)
    newline = Text("\n")
    lines = (Text(shown(value)) + newline).splitlines()
    if blank:
        result = (newline + prefix).join(lines)
    else:
        result = lines.pop(0)
        if lines:
            result = (
                result + newline + newline.join([prefix + line if line else line for line in lines])
            )
    return prefix + result if first else result


@jinja2.pass_eval_context
def _join(context: Any, value: Any, d: Any = "", attribute: Any = None) -> Text:
    if attribute is not None:
        value = map(jinja2.filters.make_attrgetter(context.environment, attribute), value)
    return Text(shown(d)).join([Text(shown(item)) for item in value])


def _safe(value: Any) -> Markup:
    return Markup(shown(value))  # noqa: S704 (of a prompt, which no browser shows)


def _format(value: Any, *args: Any, **kwargs: Any) -> Any:
    if args and kwargs:
        raise FilterArgumentError("can't handle positional and keyword arguments at the same time")
    return provenance.percent(Text(shown(value)), kwargs or args)
