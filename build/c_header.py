"""Reads the C headers that are the only place where an interface is written down.

Owns the few forms that such a header may use: a function is `MACRO result
name(arguments);`, an enumerator has an explicit value. Anything else is an
error, so that a declaration this reader does not understand cannot go missing.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from script import BuildError

# What a C type is to wasm. Pointers are offsets into linear memory.
WASM_TYPES = {
    "int32_t": "i32",
    "uint32_t": "i32",
    "float": "f32",
    "double": "f64",
    "void": "void",
}


@dataclass(frozen=True)
class Parameter:
    name: str
    type: str  # as in the header
    wasm: str  # i32, f32 or f64


@dataclass(frozen=True)
class Function:
    name: str
    result: str
    wasm: str  # i32, f32, f64 or void
    parameters: tuple[Parameter, ...]


@dataclass(frozen=True)
class Enum:
    name: str  # slm_status
    members: tuple[tuple[str, int, str], ...]  # name, value, comment


@dataclass(frozen=True)
class Header:
    """One header: its name for messages, and the macro before each of its functions."""

    name: str
    macro: str  # SLM_API, or GPU_IMPORT(name)
    pattern: str  # that matches it

    def functions(self, text: str) -> tuple[Function, ...]:
        code = re.sub(r"/\*[\s\S]*?\*/|//.*$|^#(?:.*\\\n)*.*$", "", text, flags=re.MULTILINE)
        return tuple(
            self._function(match[0]) for match in re.finditer(self.pattern + r"[^;]*", code)
        )

    def enums(self, text: str) -> tuple[Enum, ...]:
        return tuple(
            self._enum(match[2], match[1])
            for match in re.finditer(r"typedef enum \w+\s*\{(.*?)\}\s*(\w+)\s*;", text, re.DOTALL)
        )

    def _function(self, text: str) -> Function:
        match = re.fullmatch(rf"{self.pattern}\s+([^()]*?)\(([^()]*)\)", " ".join(text.split()))
        if not match:
            raise BuildError(
                f"{self.name} has '{text.strip()}', not of the form {self.macro} result name(args)"
            )
        result, name = self._declaration(match[1])
        parameters = []
        for item in () if match[2].strip() in ("", "void") else match[2].split(","):
            c_type, parameter = self._declaration(item)
            parameters.append(Parameter(parameter, c_type, self._wasm_type(c_type)))
        return Function(name, result, self._wasm_type(result), tuple(parameters))

    def _declaration(self, text: str) -> tuple[str, str]:
        """'const char *text' -> ('const char *', 'text')."""
        match = re.fullmatch(r"(.*?[\s*])(\w+)", text.strip())
        if not match:
            raise BuildError(f"{self.name} has '{text}' where a type and a name were expected")
        return " ".join(match[1].split()), match[2]

    def _wasm_type(self, c_type: str) -> str:
        if c_type.endswith("*"):
            return "i32"
        if c_type in WASM_TYPES:
            return WASM_TYPES[c_type]
        raise BuildError(
            f"{self.name} uses the type '{c_type}', which has no wasm type in "
            f"{Path(__file__).name}; use one of {', '.join(WASM_TYPES)} or a pointer"
        )

    def _enum(self, name: str, body: str) -> Enum:
        member = re.compile(
            r"\s*(\w+)\s*=\s*(-?\d+)\s*(?:,|$|(?=/\*))\s*(?:/\*(.*?)\*/)?", re.DOTALL
        )
        members, at = [], 0
        body = body.rstrip()
        while at < len(body):
            match = member.match(body, at)
            if not match:
                raise BuildError(
                    f"{self.name}: in {name}, '{body[at:].strip().splitlines()[0]}' is not of the "
                    "form NAME = number"
                )
            members.append((match[1], int(match[2]), " ".join((match[3] or "").split())))
            at = match.end()
        return Enum(name, tuple(members))
