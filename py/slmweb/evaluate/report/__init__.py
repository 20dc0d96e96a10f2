"""An evaluation as people and programs read it: terminal, Markdown, HTML, JSON."""

from .files import check_reports, results_json, write_reports
from .text import markdown, table

__all__ = ["check_reports", "markdown", "results_json", "table", "write_reports"]
