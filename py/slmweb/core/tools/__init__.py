"""Calls of tools: the form of a model's family, and calls and results between OpenAI's
shape and that form. The twin of web/src/api/tools."""

from .forms import begun, check_tools, known_form, marks, tool_form
from .messages import speaks_of_tools, told
from .parser import ToolParser, parse_answer
from .reader import Call, Unread, read_calls

__all__ = [
    "Call",
    "ToolParser",
    "Unread",
    "begun",
    "check_tools",
    "known_form",
    "marks",
    "parse_answer",
    "read_calls",
    "speaks_of_tools",
    "told",
    "tool_form",
]
