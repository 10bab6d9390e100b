"""The texts of the settings: from variables `ORDERS_X`, or from files that `ORDERS_X_FILE` name."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping
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


def read_texts(environ: Mapping[str, str], known: Mapping[str, str | None]) -> Texts:
    """Read the settings with these variables, each with the variable of its file if it has one.

    An empty variable counts as not set. So do those that Kubernetes makes for a Service whose name
    begins with `orders`, and those of Compose and the tests.
    """
    texts = Texts()
    given = _given(environ, known)
    for name, file in known.items():
        if file in given:
            _read_file(texts, name, file, given)
        elif name in given:
            texts.by_name[name], texts.sources[name] = given[name], name
    names = {*known, *filter(None, known.values())}
    texts.problems.extend(_unknown(given.keys() - names, names))
    return texts


def _given(environ: Mapping[str, str], known: Iterable[str]) -> dict[str, str]:
    others = [name for name in known if not name.startswith(PREFIX)]
    given = {name: text for name, text in environ.items() if name.startswith(PREFIX)}
    for name in _service_links(environ):
        del given[name]
    # Programs accept the variables of proxies in either case.
    given |= {name: environ.get(name) or environ.get(name.lower(), "") for name in others}
    return {name: text.strip() for name, text in given.items() if text.strip()}


def _read_file(texts: Texts, name: str, file: str, given: Mapping[str, str]) -> None:
    texts.sources[name] = f"{name}, read from {file},"
    if name in given:
        texts.problems.append(f"{name} and {file} are both set: only one may be")
        return
    try:
        texts.by_name[name] = _content(given[file])
    except Unusable as error:
        texts.problems.append(f"{file} cannot be used: {error}")


def _content(path: str) -> str:
    try:
        # Windows puts a mark before UTF-8.
        text = read_file(path, limit=_SECRET_BYTES).decode("utf-8-sig").strip()
    except UnicodeDecodeError:
        raise Unusable("the file is not UTF-8") from None
    if not text:
        raise Unusable("the file is empty")
    return text


def _unknown(names: Iterable[str], known: Collection[str]) -> Iterator[str]:
    ours = [name.removeprefix(PREFIX) for name in known if name.startswith(PREFIX)]
    for name in sorted(names):
        if _OTHERS.fullmatch(name):
            continue
        shown = name if re.fullmatch("[A-Za-z0-9_]{1,80}", name) else f"{ascii(name[:80])[1:-1]}…"
        near = get_close_matches(name[len(PREFIX) : 80].upper(), ours, n=1)
        hint = f"did you mean {PREFIX}{near[0]}?" if near else "see `orders settings`"
        if name.endswith(FROM_FILE) and name.removesuffix(FROM_FILE) in known:
            hint = "only secrets and URLs are read from files"
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
