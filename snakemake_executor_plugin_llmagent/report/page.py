"""Writing a page: one HTML file that needs nothing else, in which nothing can run but its own few lines."""

from __future__ import annotations

import base64
import hashlib
from functools import cache
from importlib import resources
from typing import Any

from markupsafe import Markup

from snakemake_executor_plugin_llmagent.report import charts, views
from snakemake_executor_plugin_llmagent.report.build import Page
from snakemake_executor_plugin_llmagent.text import clean

POLICY = (
    "default-src 'none'; img-src data:; style-src '{style}'; script-src '{script}'; base-uri 'none'; form-action 'none'"
)
"""What a browser lets the page do, by the digests of its style and its script."""


def render(page: Page) -> str:
    """The page as HTML.

    Every text that is put in is escaped, and its invisible characters are written out.
    """
    style, script = _part("style.css"), _part("page.js")
    policy = POLICY.format(style=_digest(style), script=_digest(script))
    text: str = (
        _templates()
        .get_template("page.html.jinja")
        .render(page=page, style=Markup(style), script=Markup(script), policy=policy)
    )
    return text


def _part(name: str) -> str:
    return resources.files(__package__).joinpath("templates", name).read_text(encoding="utf-8")


def _digest(text: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"


@cache
def _templates() -> Any:
    from jinja2 import DictLoader, Environment, StrictUndefined

    names = ("page.html.jinja", "rule.html.jinja", "parts.html.jinja")
    templates = Environment(
        loader=DictLoader({name: _part(name) for name in names}), autoescape=True, undefined=StrictUndefined,
        finalize=_shown, trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True,
    )  # fmt: skip
    templates.globals["most"] = views.MESSAGE
    templates.filters |= {
        "duration": charts.duration, "moment": views.moment, "first_line": views.first_line, "amount": charts.amount,
        "seconds": views.call_seconds, "clock": charts.clock,
    }  # fmt: skip
    return templates


def _shown(value: object) -> object:
    """What is put into the page: texts that are no HTML of ours with invisible characters written out."""
    return clean(value) if isinstance(value, str) and not isinstance(value, Markup) else value
