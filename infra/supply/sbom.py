"""The bill of materials of the container image, in CycloneDX 1.6.

`python -m infra.supply.sbom > sbom.json`. The same lock gives the same document, to the byte. Why
this is not cyclonedx-bom: decision 22.
"""

from __future__ import annotations

import sys
import uuid
from importlib.metadata import version
from typing import Any

import msgspec

from infra.supply.packages import LOCK, Package, locked


def bill() -> dict[str, Any]:
    """Return the document."""
    content = LOCK.read_text(encoding="utf-8")
    return {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_OID, content)}",
        "version": 1,
        "metadata": {
            "component": {
                "type": "application",
                "bom-ref": "orders",
                "name": "orders",
                "version": version("orders"),
                "licenses": [{"license": {"id": "Apache-2.0"}}],
            }
        },
        "components": [_component(package) for package in locked()],
    }


def _component(package: Package) -> dict[str, Any]:
    component: dict[str, Any] = {
        "type": "library",
        "bom-ref": package.purl,
        "name": package.name,
        "version": package.version,
        "purl": package.purl,
        "hashes": [{"alg": "SHA-256", "content": each} for each in package.hashes],
    }
    if package.licence:
        component["licenses"] = [{"expression": package.licence}]
    return component


if __name__ == "__main__":
    sys.stdout.write(msgspec.json.format(msgspec.json.encode(bill()), indent=2).decode() + "\n")
