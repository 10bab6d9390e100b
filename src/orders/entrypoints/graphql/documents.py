"""Queries read in bounded time, before anything is executed.

Counting comes before validation: the rules compare fields with each other, so their time grows
with the square of what is counted here.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLError,
    GraphQLSchema,
    InlineFragmentNode,
    IntValueNode,
    OperationDefinitionNode,
    OperationType,
    SelectionSetNode,
    VariableNode,
    parse,
    specified_rules,
    validate,
)
from graphql.validation import NoSchemaIntrospectionCustomRule

INVALID: Final = "invalid-graphql"
TOO_COSTLY: Final = "graphql-too-costly"

MAX_TOKENS: Final = 1_000
MAX_DEPTH: Final = 15
MAX_FIELDS: Final = 300
MAX_ROOT_FIELDS: Final = 5
MAX_COST: Final = 15_000
"""What may be answered in all: fields, those of a page as often as it has items."""
PAGE: Final = 50
"""The items of a page whose size is not asked for."""
MAX_ERRORS: Final = 5
KEPT: Final = 128


@dataclass(frozen=True, slots=True)
class _Size:
    """The fields in a selection, fragments spread out, and how deep they lie."""

    fields: int = 0
    depth: int = 0


class Documents:
    """Reads queries, and keeps the last ones that were valid."""

    def __init__(self, schema: GraphQLSchema) -> None:
        self._schema = schema
        # The schema is a published file.
        self._rules = [*specified_rules, NoSchemaIntrospectionCustomRule]
        self.read = lru_cache(KEPT)(self._read)

    def _read(self, query: str) -> DocumentNode:
        try:
            document = parse(query, max_tokens=MAX_TOKENS, allow_empty_selection_sets=False)
            _require_bounded(document)
            errors = validate(self._schema, document, self._rules, max_errors=MAX_ERRORS)
        except RecursionError:
            raise too_costly(f"The query is nested deeper than {MAX_DEPTH} levels.") from None
        if errors:
            raise InvalidQuery(errors)
        return document


class InvalidQuery(Exception):
    """What the query asks for is not in the schema."""

    def __init__(self, errors: list[GraphQLError]) -> None:
        super().__init__("invalid query")
        self.errors = errors


def too_costly(detail: str) -> GraphQLError:
    """The refusal of a query that would take too much work."""
    return GraphQLError(detail, extensions={"code": TOO_COSTLY})


def require_affordable(
    document: DocumentNode, operation_name: str | None, variables: Mapping[str, Any], max_page: int
) -> None:
    """Refuse to answer more than `MAX_COST` fields.

    Raises:
        GraphQLError: If it would be more.
    """
    fragments = _fragments(document)
    sizes: dict[str, _Size] = {}
    for operation in _operations(document):
        if operation_name in {None, operation.name.value if operation.name else None}:
            cost = sum(
                _size(field.selection_set, fragments, sizes).fields
                * min(max(_items(field, variables), 1), max_page)
                for field in _roots(operation.selection_set, fragments, set())
            )
            if cost > MAX_COST:
                raise too_costly(f"The query costs {cost}; the limit is {MAX_COST}.")


def _items(field: FieldNode, variables: Mapping[str, Any]) -> int:
    """How often the fields in a field may be answered: as often as its page has items."""
    if field.name.value != "orders":
        return 1
    for argument in field.arguments or ():
        if argument.name.value == "first":
            if isinstance(argument.value, IntValueNode):
                return int(argument.value.value)
            if isinstance(argument.value, VariableNode):
                given = variables.get(argument.value.name.value)
                return given if isinstance(given, int) else MAX_COST
    return PAGE


def _require_bounded(document: DocumentNode) -> None:
    fragments = _fragments(document)
    sizes: dict[str, _Size] = {}
    for each in document.definitions:
        if not isinstance(each, OperationDefinitionNode | FragmentDefinitionNode):
            continue
        size = _size(each.selection_set, fragments, sizes)
        if size.depth > MAX_DEPTH:
            raise too_costly(f"The query is nested deeper than {MAX_DEPTH} levels.")
        if size.fields > MAX_FIELDS:
            raise too_costly(f"The query has more than {MAX_FIELDS} fields.")
    for operation in _operations(document):
        if operation.operation is not OperationType.QUERY:
            raise GraphQLError("Only queries are supported.", operation)
        roots = sum(1 for _ in _roots(operation.selection_set, fragments, set()))
        if roots > MAX_ROOT_FIELDS:
            raise too_costly(f"The query has more than {MAX_ROOT_FIELDS} root fields.")


def _operations(document: DocumentNode) -> Iterator[OperationDefinitionNode]:
    return (each for each in document.definitions if isinstance(each, OperationDefinitionNode))


def _fragments(document: DocumentNode) -> dict[str, FragmentDefinitionNode]:
    found = (each for each in document.definitions if isinstance(each, FragmentDefinitionNode))
    return {each.name.value: each for each in found}


def _size(
    selections: SelectionSetNode | None,
    fragments: Mapping[str, FragmentDefinitionNode],
    sizes: dict[str, _Size],
) -> _Size:
    """Each fragment is measured once. In a circle it counts as nothing, and validation refuses."""
    fields, depth = 0, 0
    for node in selections.selections if selections else ():
        if isinstance(node, FragmentSpreadNode):
            name = node.name.value
            if name not in sizes and name in fragments:
                sizes[name] = _Size()
                sizes[name] = _size(fragments[name].selection_set, fragments, sizes)
            inner = sizes.get(name, _Size())
        elif isinstance(node, FieldNode):
            inner = _size(node.selection_set, fragments, sizes)
            inner = _Size(inner.fields + 1, inner.depth + 1)
        elif isinstance(node, InlineFragmentNode):
            inner = _size(node.selection_set, fragments, sizes)
        else:
            continue
        fields, depth = fields + inner.fields, max(depth, inner.depth)
    return _Size(fields, depth)


def _roots(
    selections: SelectionSetNode,
    fragments: Mapping[str, FragmentDefinitionNode],
    seen: set[str],
) -> Iterator[FieldNode]:
    """The fields at the root. A fragment that is spread twice selects the same fields again."""
    for node in selections.selections:
        if isinstance(node, FieldNode):
            yield node
        elif isinstance(node, InlineFragmentNode):
            yield from _roots(node.selection_set, fragments, seen)
        elif isinstance(node, FragmentSpreadNode):
            name = node.name.value
            if name in fragments.keys() - seen:
                seen.add(name)
                yield from _roots(fragments[name].selection_set, fragments, seen)
