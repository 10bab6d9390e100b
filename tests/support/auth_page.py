"""What docs/auth.md says about each issuer: the settings, and the token that it shows."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

PAGE = Path(__file__).parents[2] / "docs" / "auth.md"


def issuers() -> list[str]:
    """The headings of the sections that have settings."""
    found = re.findall(r"^## (.+)$", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    return [title for title in found if "```env" in _section(title)]


def settings_of(issuer: str) -> dict[str, str]:
    """The settings of an issuer's section, as `docker run --env-file` reads them."""
    lines = _block(issuer, "env").splitlines()
    pairs = [line.partition("=") for line in lines]
    return {name: value for name, _, value in pairs}


def shown_claims_of(issuer: str) -> dict[str, Any]:
    """Those claims of a user's token that an issuer's section shows."""
    claims: dict[str, Any] = json.loads(_block(issuer, "json"))
    return claims


def _section(issuer: str) -> str:
    sections = PAGE.read_text(encoding="utf-8").split("\n## ")
    return next(each for each in sections if each.startswith(f"{issuer}\n"))


def _block(issuer: str, kind: str) -> str:
    [block] = re.findall(rf"```{kind}\n(.*?)```", _section(issuer), re.DOTALL)
    return str(block)
