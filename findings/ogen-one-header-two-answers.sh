#!/bin/sh
# ogen 1.25.0: one header that is required on one answer and optional on another gives Go code that
# does not compile.
#
# Behaviour: if two answers of one operation have the same schema and the same header, ogen makes
# one struct of body and header for both, and writes the code of each answer for its own kind of
# member. ogen reports nothing.
#
# Seen, for a 409 with an optional Retry-After and a 503 with a required one:
#   cannot use c (variable of type int) as OptInt value in assignment
# With Retry-After optional in both, or required in both, the code compiles.
#
# Why it matters: Retry-After is exactly such a header: RFC 9110 lets any answer have it, and an
# interface promises it for some. Nothing is wrong with the description, and other generators
# take it.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
trap 'exit 1' INT TERM
cd "$folder"
cat > go.mod <<'GO'
module seen

go 1.26
GO
go get -tool github.com/ogen-go/ogen/cmd/ogen@v1.25.0 >/dev/null 2>&1

compiles() {
    cat > openapi.json <<JSON
{
  "openapi": "3.0.3",
  "info": {"title": "Shop", "version": "1"},
  "paths": {"/orders": {"post": {"operationId": "place", "responses": {
    "204": {"description": "Placed"},
    "409": {
      "description": "Maybe later",
      "headers": {"Retry-After": {"required": false, "schema": {"type": "integer"}}},
      "content": {"application/json": {"schema": {"\$ref": "#/components/schemas/Problem"}}}
    },
    "503": {
      "description": "Later",
      "headers": {"Retry-After": {"required": $1, "schema": {"type": "integer"}}},
      "content": {"application/json": {"schema": {"\$ref": "#/components/schemas/Problem"}}}
    }
  }}}},
  "components": {
    "schemas": {"Problem": {"type": "object", "properties": {"code": {"type": "string"}}}}
  }
}
JSON
    go tool ogen --package shop --target shop --clean openapi.json >/dev/null 2>&1
    go mod tidy >/dev/null 2>&1
    go build ./shop 2>&1
}

echo "ogen 1.25.0, $(go version)"
echo "expected: both descriptions compile"
echo "seen, optional in both: $(compiles false)"
seen=$(compiles true || true)
echo "seen, required in one: $seen"
case $seen in *"RetryAfter"*) ;; *) exit 1 ;; esac
