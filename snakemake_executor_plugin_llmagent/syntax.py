"""Reading Python that somebody else wrote, without running it."""

from __future__ import annotations

import ast
import threading
import warnings

_PARSING = threading.Lock()


def parse(source: str) -> ast.Module:
    r"""The syntax tree of a source text, whatever it holds, and no warning on the terminal (as for `"$\gamma$"`).

    Raises:
        SyntaxError: it is not Python, or too deeply nested to be read.
    """
    # Filters of warnings belong to the whole process: two threads must not swap them at the same time.
    with _PARSING, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return ast.parse(source)
        except SyntaxError:
            raise
        except UnicodeError:
            raise SyntaxError("it holds characters that cannot be written as UTF-8") from None
        except (RecursionError, MemoryError):
            raise SyntaxError("it is nested too deeply") from None
        except ValueError as error:
            raise SyntaxError(str(error)) from None
