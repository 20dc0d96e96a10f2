"""Strings that know which of their characters came from a message.

Owns the mask that runs along with a text and what string operations make of it.
Where an operation's way with single characters is not followed, all of its result
counts as the message's: what is in doubt is never a control token. Knows
nothing of templates.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, SupportsIndex

from markupsafe import Markup

OWN, FOREIGN = "0", "1"


class Text(str):
    """A str with a mask: "1" for each character of a message, "0" for others."""

    __slots__ = ("_mask",)
    _mask: str

    def __new__(cls, text: str, mask: str | None = None) -> Text:
        self = str.__new__(cls, str.__str__(text))
        self._mask = mask_of(text) if mask is None else mask
        return self

    def __str__(self) -> Text:
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        return (Text, (str.__str__(self), self._mask))

    def __getitem__(self, key: SupportsIndex | slice) -> Text:
        return Text(str.__getitem__(self, key), self._mask[key])

    def __iter__(self) -> Iterator[Text]:
        return (self[i] for i in range(len(self)))

    def __add__(self, other: Any) -> Any:
        if not isinstance(other, str) or isinstance(other, Markup):
            return NotImplemented
        return Text(str.__add__(self, other), self._mask + mask_of(other))

    def __radd__(self, other: Any) -> Any:
        if not isinstance(other, str) or isinstance(other, Markup):
            return NotImplemented
        return Text(str.__add__(other, self), mask_of(other) + self._mask)

    def __mul__(self, times: SupportsIndex) -> Text:
        return Text(str.__mul__(self, times), self._mask * times)

    __rmul__ = __mul__

    def __mod__(self, values: Any) -> Text:
        return percent(self, values)

    def __rmod__(self, template: Any) -> Any:
        return percent(template, self) if isinstance(template, str) else NotImplemented

    def join(self, parts: Iterable[str]) -> Text:
        items = list(parts)
        masks = [mask_of(part) if isinstance(part, str) else "" for part in items]
        return Text(str.join(self, items), self._mask.join(masks))

    def strip(self, chars: str | None = None) -> Text:
        return self.lstrip(chars).rstrip(chars)

    def lstrip(self, chars: str | None = None) -> Text:
        return self[len(self) - len(str.lstrip(self, chars)) :]

    def rstrip(self, chars: str | None = None) -> Text:
        return self[: len(str.rstrip(self, chars))]

    def removeprefix(self, prefix: str) -> Text:
        return self[len(self) - len(str.removeprefix(self, prefix)) :]

    def removesuffix(self, suffix: str) -> Text:
        return self[: len(str.removesuffix(self, suffix))]

    def split(self, sep: str | None = None, maxsplit: SupportsIndex = -1) -> list[Text]:  # type: ignore[override]
        return self._located(str.split(self, sep, maxsplit), sep)

    def rsplit(self, sep: str | None = None, maxsplit: SupportsIndex = -1) -> list[Text]:  # type: ignore[override]
        return self._located(str.rsplit(self, sep, maxsplit), sep)

    def splitlines(self, keepends: bool = False) -> list[Text]:  # type: ignore[override]
        whole = self._located(str.splitlines(self, keepends=True), "")
        shown = str.splitlines(self, keepends=keepends)
        return [line[: len(part)] for line, part in zip(whole, shown, strict=True)]

    def _located(self, parts: Sequence[str], sep: str | None) -> list[Text]:
        """The parts of a split with their masks; without `sep`, white space lies between them."""
        found, at = [], 0
        for part in parts:
            begin = str.index(self, part, at) if sep is None else at
            found.append(self[begin : begin + len(part)])
            at = begin + len(part) + len(sep or "")
        return found

    def partition(self, sep: str) -> tuple[Text, Text, Text]:
        return self._three(str.partition(self, sep))

    def rpartition(self, sep: str) -> tuple[Text, Text, Text]:
        return self._three(str.rpartition(self, sep))

    def _three(self, parts: tuple[str, str, str]) -> tuple[Text, Text, Text]:
        a, b = len(parts[0]), len(parts[0]) + len(parts[1])
        return self[:a], self[a:b], self[b:]

    def replace(self, old: str, new: str, count: SupportsIndex = -1) -> Text:
        result = str.replace(self, old, new, count)
        by, most = mask_of(new), int(count)
        if old == "":
            room = len(self) + 1 if most < 0 else most
            masks = [by + m if i < room else m for i, m in enumerate(self._mask)]
            return Text(result, "".join(masks) + (by if len(self) < room else ""))
        masks, at = [], 0
        while most != 0 and (begin := str.find(self, old, at)) >= 0:
            masks += [self._mask[at:begin], by]
            at, most = begin + len(old), most - 1
        return Text(result, "".join(masks) + self._mask[at:])

    def upper(self) -> Text:
        return self._each(str.upper)

    def lower(self) -> Text:
        return self._each(str.lower)

    def casefold(self) -> Text:
        return self._each(str.casefold)

    def swapcase(self) -> Text:
        return self._each(str.swapcase)

    def capitalize(self) -> Text:
        return self._each(str.capitalize)

    def title(self) -> Text:
        return self._each(str.title)

    def _each(self, change: Callable[[str], str]) -> Text:
        result = change(str.__str__(self))
        if len(result) == len(self):
            return Text(result, self._mask)
        pairs = zip(str.__str__(self), self._mask, strict=True)
        mask = "".join(mark * len(change(character)) for character, mark in pairs)
        return Text(result, mask) if len(mask) == len(result) else doubtful(result, self)

    def ljust(self, width: SupportsIndex, fillchar: str = " ") -> Text:
        result = str.ljust(self, width, fillchar)
        return Text(result, self._mask + mask_of(fillchar) * (len(result) - len(self)))

    def rjust(self, width: SupportsIndex, fillchar: str = " ") -> Text:
        result = str.rjust(self, width, fillchar)
        return Text(result, mask_of(fillchar) * (len(result) - len(self)) + self._mask)

    def center(self, width: SupportsIndex, fillchar: str = " ") -> Text:
        result = str.center(self, width, fillchar)
        missing = len(result) - len(self)
        left = missing // 2 + (missing & int(width) & 1)
        fill = mask_of(fillchar)
        return Text(result, fill * left + self._mask + fill * (missing - left))

    def zfill(self, width: SupportsIndex) -> Text:
        result = str.zfill(self, width)
        sign = int(str.startswith(self, ("+", "-")))
        zeros = OWN * (len(result) - len(self))
        return Text(result, self._mask[:sign] + zeros + self._mask[sign:])

    def expandtabs(self, tabsize: SupportsIndex = 8) -> Text:
        return doubtful(str.expandtabs(self, tabsize), self)

    def translate(self, table: Any) -> Text:
        return doubtful(str.translate(self, table), self)

    @property
    def spans(self) -> list[tuple[int, int]]:
        """Where characters of messages are: [begin, end), rising."""
        return [match.span() for match in re.finditer(FOREIGN + "+", self._mask)]


def mask_of(text: str) -> str:
    if isinstance(text, Text):
        return text._mask
    # What was escaped for HTML cannot be followed.
    return (FOREIGN if isinstance(text, Markup) else OWN) * len(text)


def foreign(value: Any) -> Any:
    """JSON-like data whose texts came from outside of the template."""
    if isinstance(value, str):
        return Text(str.__str__(value), FOREIGN * len(value))
    if isinstance(value, Mapping):
        return {
            # Some templates make control tokens of a role: '<|' + role + '|>'.
            foreign(key): item
            if key == "role" and isinstance(item, str) and re.fullmatch(r"\w+", item, re.ASCII)
            else foreign(item)
            for key, item in value.items()
        }
    if isinstance(value, (list, tuple)):
        return type(value)(foreign(item) for item in value)
    return value


def is_foreign(value: Any) -> bool:
    """Whether a character of a message is in `value`, however deep."""
    if isinstance(value, str):
        return FOREIGN in mask_of(value)
    if isinstance(value, Mapping):
        return any(is_foreign(key) or is_foreign(item) for key, item in value.items())
    return isinstance(value, (list, tuple)) and any(map(is_foreign, value))


def doubtful(result: str, *sources: Any) -> Text:
    """`result`, all of it a message's if anything in `sources` is."""
    return Text(result, (FOREIGN if any(map(is_foreign, sources)) else OWN) * len(result))


def shown(value: Any) -> str:
    """str(value), with the mask of the texts in it."""
    return Text(value) if isinstance(value, str) else _container(value, str)


def joined(parts: Iterable[Any]) -> Text:
    """The parts one after the other, as shown."""
    return Text("").join([shown(part) for part in parts])


def _repr(value: Any) -> str:
    if not isinstance(value, Text):
        return _container(value, repr)
    text = str.__repr__(value)
    quote = text[0]
    masks = []
    for character, mark in zip(str.__str__(value), value._mask, strict=True):
        masks.append(mark * (2 if character == quote else len(repr(character)) - 2))
    return Text(text, OWN + "".join(masks) + OWN)


def _container(value: Any, otherwise: Callable[[Any], str]) -> str:
    if type(value) is dict:
        pairs = [joined([_repr(key), ": ", _repr(item)]) for key, item in value.items()]
        return joined(["{", Text(", ").join(pairs), "}"])
    if type(value) is list:
        return joined(["[", Text(", ").join(map(_repr, value)), "]"])
    if type(value) is tuple:
        return joined(["(", Text(", ").join(map(_repr, value)), ",)" if len(value) == 1 else ")"])
    if type(value) in (type({}.keys()), type({}.values()), type({}.items())):
        return joined([type(value).__name__, "(", _repr(list(value)), ")"])
    return otherwise(value)


_CONVERSION = re.compile(
    r"%(?:\((?P<key>[^)]*)\))?[-+ #0]*(?:\*|\d+)?(?:\.(?:\*|\d*))?[hlL]?(?P<type>.)", re.DOTALL
)


def percent(template: str, values: Any) -> Text:
    """`template % values`."""
    result = str.__mod__(str.__str__(template), values)
    items = iter(values if isinstance(values, tuple) else (values,))
    pieces, at = [], 0
    own = Text(template)
    for match in _CONVERSION.finditer(template):
        pieces.append(own[at : match.start()])
        at = match.end()
        if "*" in match[0]:
            return doubtful(result, template, values)
        if match["type"] == "%":
            pieces.append(own[at - 1 : at])
            continue
        value = values[match["key"]] if match["key"] is not None else next(items)
        given = {match["key"]: value} if match["key"] is not None else (value,)
        exact = match["type"] == "s" and match[0].removeprefix(f"%({match['key']})") in ("%s", "s")
        piece = str.__mod__(match[0], given)
        pieces.append(Text(shown(value)) if exact else doubtful(piece, value))
    found = joined([*pieces, own[at:]])
    return found if str.__eq__(found, result) else doubtful(result, template, values)


def dumps(
    value: Any,
    *,
    ensure_ascii: bool = False,
    indent: int | str | None = None,
    separators: tuple[str, str] | None = None,
    sort_keys: bool = False,
) -> Text:
    """json.dumps, with the mask of the texts in it."""
    options: dict[str, Any] = {"ensure_ascii": ensure_ascii}
    text = json.dumps(value, indent=indent, separators=separators, sort_keys=sort_keys, **options)
    if not is_foreign(value):
        return Text(text)
    step = " " * indent if isinstance(indent, int) else indent
    between, colon = separators or ("," if indent is not None else ", ", ": ")

    def quoted(part: str) -> Text:
        characters = zip(str.__str__(part), mask_of(part), strict=True)
        masks = [mark * (len(json.dumps(one, **options)) - 2) for one, mark in characters]
        return Text(json.dumps(str.__str__(part), **options), OWN + "".join(masks) + OWN)

    def wrapped(ends: str, items: list[Text], depth: int) -> Text:
        if not items:
            return Text(ends)
        inner, outer = (
            ("", "") if step is None else ("\n" + step * (depth + 1), "\n" + step * depth)
        )
        return joined([ends[0] + inner, Text(between + inner).join(items), outer + ends[1]])

    def item(one: Any, depth: int) -> Text:
        if isinstance(one, str):
            return quoted(one)
        if isinstance(one, Mapping):
            pairs = sorted(one.items()) if sort_keys else one.items()
            keyed = [
                joined([quoted(key) if isinstance(key, str) else json.dumps({key: 0})[1:-4], colon,
                        item(value, depth + 1)])
                for key, value in pairs
            ]  # fmt: skip
            return wrapped("{}", keyed, depth)
        if isinstance(one, (list, tuple)):
            return wrapped("[]", [item(part, depth + 1) for part in one], depth)
        return Text(json.dumps(one, **options))

    found = item(value, 0)
    return found if str.__eq__(found, text) else doubtful(text, value)
