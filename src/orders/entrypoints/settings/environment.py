"""The texts of the settings: from variables `ORDERS_X`, or from files that `ORDERS_X_FILE` name."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Final

from orders.entrypoints.settings.files import read_file
from orders.entrypoints.settings.kinds import Unusable

PREFIX: Final = "ORDERS_"
FROM_FILE: Final = "_FILE"
_SECRET_BYTES: Final = 65_536
# Compose reads these, and the tests those that begin with ORDERS_TEST_: never the service.
_OTHERS: Final = re.compile("ORDERS_(?:TAG|GREEN_TAG|TEST_.*)")
_LINK: Final = "(?:tcp|udp|sctp)://.*"


@dataclass(frozen=True, slots=True)
class Texts:
    """What the environment says. `problems` holds no value."""

    by_name: dict[str, str] = field(default_factory=dict)
    sources: dict[str, str] = field(default_factory=dict)
    """How a problem names a setting: with the variable of the file that it was read from."""
    problems: list[str] = field(default_factory=list)

    def is_given(self, name: str) -> bool:
        """Whether a variable or a file was named, even one that cannot be read."""
        return name in self.sources


def read_texts(environ: Mapping[str, str], known: Mapping[str, bool]) -> Texts:
    """Read the settings with these names; true means that a file may hold the text.

    An empty variable counts as not set. So do those that Kubernetes makes for a Service whose name
    begins with `orders`, and those of Compose and the tests.
    """
    texts = Texts()
    links = _service_links(environ)
    given = {
        name: text.strip()
        for name, text in environ.items()
        if name.startswith(PREFIX) and text.strip() and name not in links
    }
    for name, has_file in known.items():
        if has_file and name + FROM_FILE in given:
            _read_file(texts, name, given)
        elif name in given:
            texts.by_name[name], texts.sources[name] = given[name], name
    files = {name + FROM_FILE for name, has_file in known.items() if has_file}
    texts.problems.extend(_unknown(given.keys() - known.keys() - files, {*known, *files}))
    return texts


def text_of(environ: Mapping[str, str], name: str) -> str | None:
    """Return the text of one setting that a file may hold; None if it is not set.

    Raises:
        Unusable: If the file cannot be used.
    """
    own = {each: environ.get(each, "") for each in (name, name + FROM_FILE)}
    texts = read_texts(own, {name: True})
    if texts.problems:
        raise Unusable(texts.problems[0])
    return texts.by_name.get(name)


def _read_file(texts: Texts, name: str, given: Mapping[str, str]) -> None:
    variable = name + FROM_FILE
    texts.sources[name] = f"{name}, read from {variable},"
    if name in given:
        texts.problems.append(f"{name} and {variable} are both set: only one may be")
        return
    try:
        texts.by_name[name] = _content(given[variable])
    except Unusable as error:
        texts.problems.append(f"{variable} cannot be used: {error}")


def _content(path: str) -> str:
    try:
        # Windows puts a mark before UTF-8.
        text = read_file(path, limit=_SECRET_BYTES).decode("utf-8-sig").strip()
    except UnicodeDecodeError:
        raise Unusable("the file is not UTF-8") from None
    if not text:
        raise Unusable("the file is empty")
    return text


def _unknown(names: Iterable[str], known: Iterable[str]) -> Iterator[str]:
    for name in sorted(names):
        if _OTHERS.fullmatch(name):
            continue
        shown = name if re.fullmatch("[A-Za-z0-9_]{1,80}", name) else f"{ascii(name[:80])[1:-1]}…"
        near = get_close_matches(name[:80], known, n=1)
        hint = f"did you mean {near[0]}?" if near else "see `orders settings`"
        yield f"{shown} is not a setting: {hint}"


def _service_links(environ: Mapping[str, str]) -> set[str]:
    """Return the variables that Kubernetes makes for Services, unless a pod turns that off."""
    services = {
        re.escape(name.removesuffix("_SERVICE_HOST"))
        for name in environ
        if name.startswith(PREFIX) and name.endswith("_SERVICE_HOST")
    }
    made = re.compile(
        f"(?:{'|'.join(sorted(services))})"
        "_(?:SERVICE_HOST|SERVICE_PORT(?:_[A-Z0-9_]+)?"
        "|PORT(?P<address>_[0-9]+_(?:TCP|UDP|SCTP)(?:_(?:PROTO|PORT|ADDR))?)?)"
    )
    return {
        name
        for name, text in environ.items()
        if services
        and (found := made.fullmatch(name))
        and ("_SERVICE_" in name or found["address"] or re.fullmatch(_LINK, text))
    }
