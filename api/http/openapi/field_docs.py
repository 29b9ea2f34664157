"""What is written below the fields of a struct, which Python itself throws away."""

from __future__ import annotations

import ast
import inspect
import textwrap
from functools import cache

from msgspec import Struct


@cache
def docs_of(struct: type[Struct]) -> dict[str, str]:
    """The strings below the fields of a struct and those that it inherits, by field."""
    found: dict[str, str] = {}
    for each in reversed(struct.__mro__):
        if each is not Struct and issubclass(each, Struct):
            found |= _own_docs_of(each)
    return found


def _own_docs_of(struct: type[Struct]) -> dict[str, str]:
    try:
        source = inspect.getsource(struct)
    except (OSError, TypeError):
        return {}  # made at run time
    [body] = ast.parse(textwrap.dedent(source)).body
    assert isinstance(body, ast.ClassDef)
    found: dict[str, str] = {}
    for field, below in zip(body.body, body.body[1:], strict=False):
        if not isinstance(field, ast.AnnAssign) or not isinstance(field.target, ast.Name):
            continue
        if isinstance(below, ast.Expr) and isinstance(below.value, ast.Constant):
            found[field.target.id] = inspect.cleandoc(str(below.value.value))
    return found
