"""Write a document as YAML, and read it with one-sentence errors. A written document reads back unchanged.

Scalars are those of YAML 1.2: ``18:00`` is text and not 1080, ``010`` is ten, ``yes`` is text, ``<<`` merges
nothing. Dates are text, which the server parses itself. Keys of mappings are always text.
"""

from __future__ import annotations

import math
import re
from typing import Any

import yaml
from yaml.constructor import ConstructorError
from yaml.nodes import MappingNode, Node, ScalarNode
from yaml.resolver import Resolver

from podium.game.errors import StartError

DEPTH_MAX = 100
"""Most nested lists and mappings, far more than a document has."""
VALUES_MAX = 1_000_000
"""Most values of a file with aliases expanded. A few lines of aliases can expand to more than fits into memory."""
_TAG = "tag:yaml.org,2002:"
_SCALARS = (
    ("null", r"^(~|null|Null|NULL|)$", [*"~nN", ""]),
    ("bool", r"^(true|True|TRUE|false|False|FALSE)$", [*"tTfF"]),
    ("int", r"^[-+]?[0-9]+$", [*"-+0123456789"]),
    ("float", r"^[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?$", [*"-+.0123456789"]),
)


class _Scalars(Resolver):
    """The types of plain scalars, as in YAML 1.2."""

    yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}  # noqa: RUF012 # PyYAML's own way


for _name, _pattern, _first in _SCALARS:
    _Scalars.add_implicit_resolver(_TAG + _name, re.compile(_pattern), _first)


class _Loader(yaml.SafeLoader):
    """A loader for text, numbers, booleans, null, lists and mappings only."""

    yaml_implicit_resolvers = _Scalars.yaml_implicit_resolvers
    yaml_constructors = {  # noqa: RUF012 # PyYAML's own way
        tag: make
        for tag, make in yaml.SafeLoader.yaml_constructors.items()
        if tag in (_TAG + "null", _TAG + "seq", _TAG + "map")
    }

    def compose_mapping_node(self, anchor: Any) -> MappingNode:
        node: MappingNode = super().compose_mapping_node(anchor)
        seen: dict[str, int] = {}
        for key, _ in node.value:
            if not isinstance(key, ScalarNode):
                raise _refused(key, "a key must be text")
            if key.value in seen:
                raise _refused(key, f"{key.value!r} is a duplicate of the key in line {seen[key.value]}")
            seen[key.value] = key.start_mark.line + 1
            key.tag = _TAG + "str"
        return node


class _Dumper(yaml.SafeDumper):
    """A dumper that quotes text which the loader would take for another type."""

    yaml_implicit_resolvers = _Scalars.yaml_implicit_resolvers

    def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002 # the base class's
        return True


def _quoted(dumper: _Dumper, text: str) -> ScalarNode:
    """Represent text with unusual line breaks in double quotes, which escape them. Other styles make them
    spaces."""
    style = '"' if any(one in text for one in "\x85\u2028\u2029") else None
    return dumper.represent_scalar(_TAG + "str", text, style=style)


_Dumper.add_representer(str, _quoted)


def _text(loader: _Loader, node: ScalarNode) -> str:
    try:  # an escaped surrogate pair, as in JSON, is one character
        return str(loader.construct_scalar(node)).encode("utf-16", "surrogatepass").decode("utf-16")
    except UnicodeDecodeError:
        raise _refused(node, "half a character (a lone surrogate)") from None


def _int(loader: _Loader, node: ScalarNode) -> int:
    try:
        return int(loader.construct_scalar(node))
    except ValueError:
        raise _refused(node, "not an integer, or one with too many digits") from None


def _float(loader: _Loader, node: ScalarNode) -> float:
    try:
        number = float(loader.construct_scalar(node))
    except ValueError:
        raise _refused(node, "not a number") from None
    if not math.isfinite(number):
        raise _refused(node, "a number that is too large")
    return number


def _bool(loader: _Loader, node: ScalarNode) -> bool:
    value = str(loader.construct_scalar(node)).lower()
    if value not in ("true", "false"):
        raise _refused(node, "neither true nor false")
    return value == "true"


def _unknown(_: _Loader, node: Node) -> Any:
    raise _refused(node, f"{node.tag.replace(_TAG, '!!')} is a type that a catalog doesn't have")


_Loader.add_constructor(_TAG + "str", _text)
_Loader.add_constructor(_TAG + "bool", _bool)
_Loader.add_constructor(None, _unknown)
_Loader.add_constructor(_TAG + "int", _int)
_Loader.add_constructor(_TAG + "float", _float)


def _refused(node: Node, problem: str) -> ConstructorError:
    return ConstructorError(problem=problem, problem_mark=node.start_mark)


def write(document: Any) -> str:
    """Return a document as YAML."""
    return yaml.dump(document, Dumper=_Dumper, allow_unicode=True, sort_keys=False)


def read(text: str, name: str) -> dict[str, Any]:
    """Parse the text of a file called ``name``, and return the document in it.

    Raises:
        StartError: The text is not YAML, or not a document. The message names the file and, if known, the line.
    """
    try:
        found = yaml.load(text, Loader=_Loader)  # noqa: S506 # made from SafeLoader
        _check(found)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = name if mark is None else f"{name}, line {mark.line + 1}"
        said = ", ".join(" ".join(part.split()) for part in (error.problem, error.context) if part)
        raise StartError(f"{where}: {said}.") from None
    except yaml.reader.ReaderError as error:
        line = text[: error.position].count("\n") + 1
        raise StartError(
            f"{name}, line {line}: the character U+{ord(text[error.position]):04X} can't be in YAML."
        ) from None
    except (yaml.YAMLError, ValueError) as error:
        raise StartError(f"{name} can't be read: {' '.join(str(error).split())}.") from None
    except RecursionError:
        raise StartError(f"{name} is nested too deeply.") from None
    if not isinstance(found, dict):
        raise StartError(f"{name} must hold sections: metrics, leaderboards, …")
    found.pop("$schema", None)
    return found


def _check(found: Any) -> None:
    """Check the size of a document with its aliases expanded.

    Raises:
        ValueError: It has too many values, or is nested too deeply.
    """
    values, open_ = 0, [(found, 1)]
    while open_:
        value, depth = open_.pop()
        values += 1
        if depth > DEPTH_MAX:
            raise ValueError("it is nested too deeply, or an alias is within the value that it names")
        if values > VALUES_MAX:
            raise ValueError(f"it has more than {VALUES_MAX:,} values")
        if isinstance(value, dict | list):
            within = value.values() if isinstance(value, dict) else value
            open_ += [(one, depth + 1) for one in within]
