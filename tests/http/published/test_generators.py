"""The description has the forms that generators of clients read well, in 3.1 and in 3.0."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from openapi_spec_validator import OpenAPIV30SpecValidator, OpenAPIV31SpecValidator

from orders.domain.actions import Action
from orders.domain.rules import argument_bounds
from orders.entrypoints.http.app import description
from orders.entrypoints.http.openapi.bounds import PublishedLimits
from orders.entrypoints.http.openapi.version_3_0 import as_openapi_3_0
from orders.entrypoints.http.schemas.responses import ActionLimits
from orders.entrypoints.published.schema import render
from tests.support.api import Api
from tests.support.orders import a_placed_order, an_order_with_every_part

Schema = dict[str, Any]

DOCUMENT = description(PublishedLimits())
DOCUMENT_3_0 = as_openapi_3_0(DOCUMENT)
OPERATIONS = {
    operation["operationId"]: operation
    for methods in DOCUMENT["paths"].values()
    for operation in methods.values()
}


def objects(node: Any) -> Iterator[Schema]:
    """Every JSON object of a document."""
    if isinstance(node, dict):
        yield node
    for each in node.values() if isinstance(node, dict) else node if isinstance(node, list) else ():
        yield from objects(each)


SCHEMAS = [node for node in objects(DOCUMENT) if isinstance(node.get("type"), str)]


def test_every_integer_has_64_bits() -> None:
    integers = [schema for schema in SCHEMAS if schema["type"] == "integer"]

    assert len(integers) > 60
    assert {schema.get("format") for schema in integers} == {"int64"}
    bounds = [s[b] for s in integers for b in ("minimum", "maximum", "default") if b in s]
    assert {type(bound) for bound in bounds} == {int}


def test_no_choice_is_of_one_and_no_object_is_a_default() -> None:
    choices = [node for node in objects(DOCUMENT) if "oneOf" in node]

    assert choices
    for node in choices:
        assert len(node["oneOf"]) == 2
        assert {"type": "null"} in node["oneOf"]
    for node in objects(DOCUMENT):
        assert not {"anyOf", "allOf"} & node.keys()
        assert not isinstance(node.get("default"), dict | list)


def test_no_success_may_be_null() -> None:
    for name, operation in OPERATIONS.items():
        for status, answer in operation["responses"].items():
            for content in answer.get("content", {}).values():
                assert content["schema"].keys() == {"$ref"}, (name, status)


def test_a_body_may_be_null_where_it_may_be_left_out() -> None:
    bodies = {n: o["requestBody"] for n, o in OPERATIONS.items() if "requestBody" in o}
    optional = {name for name, body in bodies.items() if not body["required"]}

    assert {"capture", "refund", "cancel", "confirm", "dispatch"} <= optional
    assert not {"place", "quote", "edit", "pay", "hold"} & optional
    for name, body in bodies.items():
        schema = body["content"]["application/json"]["schema"]
        assert ("oneOf" in schema) is (name in optional)


def test_the_bounds_of_a_command_are_members_of_one_type() -> None:
    limits = DOCUMENT["components"]["schemas"]["ActionLimits"]["properties"]
    states = an_order_with_every_part().state, a_placed_order().state
    named = {
        name for state in states for action in Action for name in argument_bounds(state, action)
    }

    assert named == {*limits} == {*ActionLimits.__struct_fields__}


def test_constants_of_enums_have_names_of_their_own() -> None:
    names = Counter(
        name
        for schema in DOCUMENT["components"]["schemas"].values()
        for name in schema.get("x-enum-varnames", ())
    )

    assert {"OrderStatusPending", "OrderPaymentStatusPending"} <= names.keys()
    assert set(names.values()) == {1}


def test_every_order_of_a_list_has_a_name() -> None:
    parameters = DOCUMENT["paths"]["/v1/orders"]["get"]["parameters"]
    (sort,) = (each["schema"] for each in parameters if each["name"] == "sort")

    assert dict(zip(sort["x-enum-varnames"], sort["enum"], strict=True)) == {
        "OldestFirst": "created_at",
        "NewestFirst": "-created_at",
        "UpdatedAt": "updated_at",
    }


def test_values_that_may_become_more_are_no_enum() -> None:
    answers = {
        name: schema
        for name, schema in DOCUMENT["components"]["schemas"].items()
        if schema.get("additionalProperties") is True and name != "PaymentMessage"
    }

    for name, schema in answers.items():
        assert not {"enum", "const"} & {key for node in objects(schema) for key in node}, name
        for node in objects(schema):
            referred = str(node.get("$ref", "")).rpartition("/")[2]
            assert not referred or "enum" not in DOCUMENT["components"]["schemas"][referred]
    after = answers["OrderAfter"]["properties"]["status"]
    assert after["x-extensible-enum"][0] == "pending"
    status = answers["OrderResponse"]["properties"]["status"]
    assert status["x-extensible-enum"] == [
        *("pending", "confirmed", "completed", "cancelled", "expired")
    ]
    assert "Later versions may add values." in status["description"]


def test_enums_say_that_they_may_grow() -> None:
    enums = [schema for schema in SCHEMAS if len(schema.get("enum", ())) > 2]

    assert len(enums) > 5
    webhook = str(DOCUMENT["components"]["schemas"]["PaymentMessage"])
    for schema in enums:
        assert "Later versions may add values." in schema.get("description", "") or (
            str(schema) in webhook
        )


def test_everything_says_what_it_is_for() -> None:
    for name, operation in OPERATIONS.items():
        assert len(operation["description"]) > 20, name
        assert "Raises" not in operation["description"]
    for name, schema in DOCUMENT["components"]["schemas"].items():
        assert schema["description"], name
        assert schema["title"] == name
    tags = {tag["name"]: tag["description"] for tag in DOCUMENT["tags"]}
    assert {tag for operation in OPERATIONS.values() for tag in operation["tags"]} == {*tags}
    assert all(tags.values())


def test_a_command_names_the_codes_that_refuse_it() -> None:
    refusals = OPERATIONS["pay"]["description"]

    assert "- `nothing-due` (409): If nothing is left to pay." in refusals
    assert "- `amount-exceeds-due` (409): " in refusals
    commands = [o for o in OPERATIONS.values() if "Commands" in o["tags"]]
    for operation in commands:
        assert "Refused with:\n\n- `" in operation["description"]


def headers(operation: str, status: str) -> set[str]:
    return {*OPERATIONS[operation]["responses"][status].get("headers", {})}


LIMITS = {"RateLimit", "RateLimit-Policy"}


@pytest.mark.parametrize(
    ("operation", "status", "expected"),
    [
        ("place", "201", {"ETag", "Location", "Idempotency-Replayed", *LIMITS}),
        ("place", "409", {"Retry-After"}),
        ("place", "503", {"Retry-After"}),
        ("capture", "200", {"ETag", "Idempotency-Replayed", *LIMITS}),
        ("read", "200", {"ETag", *LIMITS}),
        ("read", "304", {"ETag", *LIMITS}),
        ("read", "429", {"Retry-After", *LIMITS}),
        ("read", "401", {"WWW-Authenticate"}),
        ("read_by_reference", "409", set()),
        ("list", "200", {"Link", *LIMITS}),
        ("readyz", "503", {"Retry-After"}),
        ("livez", "200", set()),
    ],
)
def test_headers_are_described_where_they_occur(
    operation: str, status: str, expected: set[str]
) -> None:
    assert headers(operation, status) == expected


PATTERNS = sorted({schema["pattern"] for schema in SCHEMAS if "pattern" in schema})
IN_EVERY_LANGUAGE = re.compile(
    r"""(?x)
    (?: \\x[0-9a-f]{2} | \\[tnd] | \\[][*.+?^$(){}|/\\"]      # escapes that all five have
    |   \(\?: | [^\\(]                                        # no lookaround, no named groups
    |   \((?!\?) )*
    """
)


def test_every_pattern_uses_what_five_languages_share() -> None:
    assert len(PATTERNS) > 10
    for pattern in PATTERNS:
        re.compile(pattern)
        assert IN_EVERY_LANGUAGE.fullmatch(pattern), pattern
        assert pattern.startswith("^")
        # A literal of JavaScript ends at a line separator, whatever it is in.
        assert not re.search("[\n\r\u2028\u2029]", pattern)


COMPILERS = {
    "node": (
        "patterns.cjs",
        """for (const p of JSON.parse(require("fs").readFileSync(0, "utf8"))) {
             new RegExp(p, "u"); new RegExp(p); eval(`/${p.replaceAll("/", "\\\\/")}/`);
           }
           console.log("compiled");""",
    ),
    "go": (
        "patterns.go",
        """package main
           import ("encoding/json"; "fmt"; "os"; "regexp")
           func main() {
             var all []string
             if err := json.NewDecoder(os.Stdin).Decode(&all); err != nil { panic(err) }
             for _, p := range all { regexp.MustCompile(p) }
             fmt.Println("compiled")
           }""",
    ),
    "java": (
        "Patterns.java",
        """import java.nio.charset.StandardCharsets;
           import java.util.regex.Pattern;
           class Patterns {
             public static void main(String[] arguments) throws Exception {
               var text = new String(System.in.readAllBytes(), StandardCharsets.UTF_8);
               for (var line : text.split("\\0")) Pattern.compile(line);
               System.out.println("compiled");
             }
           }""",
    ),
}


@pytest.mark.parametrize("language", COMPILERS)
def test_every_pattern_compiles(language: str, tmp_path: Path) -> None:
    """Rust, and a validator of Go that reads our answers: `make lint-openapi`."""
    if (found := shutil.which(language)) is None:
        pytest.skip(f"{language} is not installed: install it to run this")
    name, program = COMPILERS[language]
    (tmp_path / name).write_text(program)
    command = [found, *(["run"] if language == "go" else []), str(tmp_path / name)]
    sent = "\0".join(PATTERNS) if language == "java" else json.dumps(PATTERNS)
    done = subprocess.run(
        command, input=sent, capture_output=True, text=True, encoding="utf-8", check=False
    )
    assert done.stdout.strip() == "compiled", done.stderr


def test_both_documents_are_what_they_say() -> None:
    OpenAPIV31SpecValidator(json.loads(json.dumps(DOCUMENT))).validate()
    OpenAPIV30SpecValidator(json.loads(json.dumps(DOCUMENT_3_0))).validate()


def test_3_0_says_the_same() -> None:
    schemas = DOCUMENT_3_0["components"]["schemas"]
    assert DOCUMENT_3_0["openapi"].startswith("3.0.")
    assert DOCUMENT_3_0["info"] == DOCUMENT["info"]
    assert schemas.keys() == DOCUMENT["components"]["schemas"].keys()
    assert {p: [*m] for p, m in DOCUMENT_3_0["paths"].items()} == {
        path: [*methods] for path, methods in DOCUMENT["paths"].items()
    }
    assert schemas["PaymentBody"]["properties"]["amount"] == {
        "type": "integer",
        "format": "int64",
        "minimum": 1,
        "maximum": 2**53 - 1,
        "nullable": True,
    }
    assert schemas["ShippingResponse"]["properties"]["address"] == {
        "type": "object",
        "allOf": [{"$ref": "#/components/schemas/AddressResponse"}],
        "nullable": True,
    }
    assert schemas["AmountBody"]["example"] == {"amount": 1250}
    body = DOCUMENT_3_0["paths"]["/v1/orders/{order_id}/cancel"]["post"]["requestBody"]
    assert body["content"]["application/json"] == {
        "schema": {"$ref": "#/components/schemas/CancelBody"}
    }


def test_3_0_has_no_word_of_3_1() -> None:
    for node in objects(DOCUMENT_3_0):
        assert not {"const", "propertyNames", "$schema", "$defs", "prefixItems"} & node.keys()
        assert node.get("type") != "null"
        assert not isinstance(node.get("type"), list)
        assert not isinstance(node.get("examples"), list)
        if "allOf" in node:
            (name,) = re.findall(r"schemas/(\w+)", node["allOf"][0]["$ref"])
            assert node["type"] == DOCUMENT["components"]["schemas"][name]["type"]


def test_what_3_0_has_no_word_for_is_refused() -> None:
    kinds = [{"type": "string"}, {"type": "integer"}, {"type": "null"}]
    with pytest.raises(ValueError, match="not one schema or null"):
        as_openapi_3_0({"paths": {}, "oneOf": kinds})
    lowered = as_openapi_3_0(
        {"paths": {}, "a": {"const": 1}, "b": {"exclusiveMinimum": 0}, "c": {"type": ["string"]}}
    )
    assert lowered["a"] == {"enum": [1]}
    assert lowered["c"] == {"type": "string"}
    assert lowered["b"] == {"minimum": 0, "exclusiveMinimum": True}


async def test_3_0_is_served_and_printed(api: Api) -> None:
    answer = await api.client.get("/schema/openapi-3.0.json")

    assert answer.status_code == 200
    assert (
        answer.json() == json.loads(render("openapi-3.0")) == json.loads(json.dumps(DOCUMENT_3_0))
    )
