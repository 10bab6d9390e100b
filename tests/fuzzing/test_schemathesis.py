"""A short run of what `make fuzz` does at length."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.fuzzing.schemathesis_run import Run, run
from tests.fuzzing.service import in_memory_service

EXAMPLES = 5


@pytest.mark.parametrize("known", [True, False], ids=["with a token", "without a token"])
def test_the_service_is_as_described(tmp_path: Path, *, known: bool) -> None:
    with in_memory_service(tmp_path) as service:
        token = service.token("fuzz", "admin") if known else None
        done = run(Run(url=service.url, token=token, examples=EXAMPLES))
    assert done.exit_code == 0, done.output
    assert "Tested: 52" in done.output, done.output
