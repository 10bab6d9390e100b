"""What a query selects, and the answer to it.

Only fields at the root ask anything; what lies below them is in REST's answer already, and only
picked out. graphql-core's own executor takes microseconds for each field of each line, in which
nobody else is served: an order may have thousands of lines.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLError,
    GraphQLField,
    GraphQLIncludeDirective,
    GraphQLObjectType,
    GraphQLSchema,
    GraphQLSkipDirective,
    OperationDefinitionNode,
    SelectionSetNode,
    get_named_type,
)
from graphql.execution.values import (
    VariableValues,
    get_argument_values,
    get_directive_values,
    get_variable_values,
)

from orders.entrypoints.graphql.documents import too_costly


@dataclass(slots=True)
class Selected:
    """A field under its name in the answer, with what is selected below it."""

    definition: GraphQLField | None
    """None is the name of the type that it is selected from."""
    of: GraphQLObjectType
    node: FieldNode
    below: list[SelectionSetNode] = field(default_factory=list)


class Query:
    """One operation of a valid document, with its variables."""

    def __init__(
        self,
        schema: GraphQLSchema,
        document: DocumentNode,
        operation_name: str | None,
        variables: dict[str, Any],
    ) -> None:
        """Raises:
        GraphQLError: If there is no such operation, or a variable has no such value.
        """
        operations = {
            each.name.value if each.name else None: each
            for each in document.definitions
            if isinstance(each, OperationDefinitionNode)
        }
        if operation_name is None and len(operations) > 1:
            raise GraphQLError("Send operationName: the document has several operations.")
        name = next(iter(operations)) if operation_name is None else operation_name
        if name not in operations:
            raise GraphQLError("The document has no operation with this name.")
        self._fragments = {
            each.name.value: each
            for each in document.definitions
            if isinstance(each, FragmentDefinitionNode)
        }
        self._operation = operations[name]
        self._variables = _values(schema, self._operation, variables)
        assert schema.query_type is not None
        self._root = schema.query_type

    def roots(self) -> Mapping[str, Selected]:
        """The questions, by their names in the answer."""
        return self._selected(self._root, [self._operation.selection_set])

    def arguments_of(self, root: Selected) -> dict[str, Any]:
        """Raises:
        GraphQLError: If one is missing or of another type.
        """
        assert root.definition is not None
        return get_argument_values(root.definition, root.node, self._variables)

    def plan_of(self, selected: Selected) -> Plan | None:
        """What is picked out of the answer below a field; None for all of a scalar.

        Raises:
            GraphQLError: If a member is asked for twice: the answer would outgrow REST's.
        """
        if selected.definition is None or not selected.below:
            return None
        of = get_named_type(selected.definition.type)
        assert isinstance(of, GraphQLObjectType)
        members: dict[str, Member] = {}
        for key, each in self._selected(of, selected.below).items():
            name = each.node.name.value
            if each.definition is None:
                members[key] = Member("", None, of.name)
                continue
            source: str = each.definition.extensions["member"]
            if any(source == other.source for other in members.values()):
                raise too_costly(f"{of.name}.{name} is requested twice in one place.")
            members[key] = Member(source, self.plan_of(each))
        return members

    def _selected(
        self, of: GraphQLObjectType, selections: list[SelectionSetNode]
    ) -> dict[str, Selected]:
        found: dict[str, Selected] = {}
        for node in self._spread(selections, set()):
            key = (node.alias or node.name).value
            selected = found.setdefault(key, Selected(of.fields.get(node.name.value), of, node))
            if node.selection_set is not None:
                selected.below.append(node.selection_set)
        return found

    def _spread(self, selections: list[SelectionSetNode], seen: set[str]) -> Iterator[FieldNode]:
        """The fields, those of fragments too: each fragment once, for it selects the same again.

        All types are objects, so a fragment that is valid here applies.
        """
        for selection in selections:
            for node in selection.selections:
                if not self._is_wanted(node):
                    continue
                if isinstance(node, FieldNode):
                    yield node
                elif not isinstance(node, FragmentSpreadNode):
                    yield from self._spread([node.selection_set], seen)  # type: ignore[attr-defined]
                elif node.name.value not in seen:
                    seen.add(node.name.value)
                    fragment = self._fragments[node.name.value]
                    yield from self._spread([fragment.selection_set], seen)

    def _is_wanted(self, node: Any) -> bool:
        skip = get_directive_values(GraphQLSkipDirective, node, self._variables)
        include = get_directive_values(GraphQLIncludeDirective, node, self._variables)
        return not (skip and skip["if"]) and (include is None or include["if"])


@dataclass(frozen=True, slots=True)
class Member:
    """A member of the answer: where REST's has it, and what is picked out of it."""

    source: str
    below: Plan | None
    constant: str | None = None


Plan = Mapping[str, Member]


def picked(answer: Any, plan: Plan | None) -> Any:
    """What a plan picks out of an answer of plain JSON. What is hidden is not there: null."""
    if plan is None or answer is None:
        return answer
    if isinstance(answer, list):
        return [picked(each, plan) for each in answer]
    return {
        key: member.constant or picked(answer.get(member.source), member.below)
        for key, member in plan.items()
    }


def _values(
    schema: GraphQLSchema, operation: OperationDefinitionNode, given: dict[str, Any]
) -> VariableValues:
    values = get_variable_values(schema, operation.variable_definitions or (), given, max_errors=5)
    if isinstance(values, list):
        raise values[0]
    return values
