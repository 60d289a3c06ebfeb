"""The API's description, made from the same structs that requests are checked against.

https://spec.openapis.org/oas/v3.1.1
"""

from collections.abc import Iterable
from typing import Any, get_args

import msgspec

from ingress.api import problems
from ingress.api.problems import ProblemDocument
from ingress.api.routes import EVENT_STREAM, JSON, Route

_REFERENCE = "#/components/schemas/{name}"

_ABOUT = """\
Every conversation of your Facebook Pages. Present an API key as `Authorization: Bearer <key>`, or
sign in with a browser. A key sees its Pages only: what belongs to others is not found. Times are
ISO 8601 in UTC. Errors are `application/problem+json`; their `error` repeats `detail`.
"""


def document(routes: Iterable[Route], version: str) -> bytes:
    """Return the OpenAPI 3.1 document of some routes, as JSON."""
    routes = list(routes)
    types = [kind for route in routes for kind in _types(route)]
    schemas, components = msgspec.json.schema_components(
        [ProblemDocument, *types], ref_template=_REFERENCE
    )
    by_type = dict(zip(map(_key, [ProblemDocument, *types]), schemas, strict=True))
    for kind in types:
        components.get(getattr(kind, "__name__", ""), {}).update(getattr(kind, "also_schema", {}))
    paths: dict[str, dict[str, Any]] = {}
    for route in routes:
        path = paths.setdefault("/api" + route.path, {})
        path[route.method.lower()] = _operation(route, by_type, components)
    tags = dict.fromkeys(route.tag for route in routes)
    return msgspec.json.encode(
        {
            "openapi": "3.1.0",
            "info": {"title": "Pagewire", "version": version, "description": _ABOUT},
            "tags": [{"name": tag} for tag in tags],
            "paths": paths,
            "components": {
                "schemas": components,
                "securitySchemes": {
                    "key": {"type": "http", "scheme": "bearer"},
                    "session": {"type": "apiKey", "in": "cookie", "name": "pagewire"},
                },
                "responses": {
                    "Problem": _answer(by_type[_key(ProblemDocument)], problems.CONTENT_TYPE)
                },
            },
        }
    )


def _types(route: Route) -> list[Any]:
    given = [route.path_type, route.query_type, route.body_type]
    return [kind for kind in [*given, *route.answers.values()] if kind is not None]


def _key(kind: Any) -> str:
    return str(kind)


def _operation(
    route: Route, by_type: dict[str, dict[str, Any]], components: dict[str, Any]
) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "operationId": f"{route.tag}.{route.handler.__name__}".lower(),
        "summary": route.summary,
        "tags": [route.tag],
        "security": [{"key": []}, {"session": []}] if route.scope else [],
        "responses": {"default": {"$ref": "#/components/responses/Problem"}},
    }
    scope = f"Needs a key of scope `{route.scope}`." if route.scope else ""
    if description := " ".join(filter(None, (route.description, scope))):
        operation["description"] = description
    parameters = [
        *_parameters("path", route.path_type, by_type, components),
        *_parameters("query", route.query_type, by_type, components),
    ]
    if parameters:
        operation["parameters"] = parameters
    if route.body_type is not None:
        operation["requestBody"] = {
            "required": type(None) not in get_args(route.body_type),
            "content": {JSON: {"schema": by_type[_key(route.body_type)]}},
        }
    for status, kind in route.answers.items():
        schema = None if kind is None else by_type[_key(kind)]
        operation["responses"][str(status)] = _answer(schema, route.content_type)
    return operation


def _parameters(
    where: str, kind: Any, by_type: dict[str, dict[str, Any]], components: dict[str, Any]
) -> Iterable[dict[str, Any]]:
    if kind is None:
        return
    schema = components[by_type[_key(kind)]["$ref"].rpartition("/")[2]]
    for name, described in schema["properties"].items():
        # In an address "none" is said by leaving it out.
        given = [one for one in described.get("anyOf", [described]) if one != {"type": "null"}]
        yield {
            "name": name,
            "in": where,
            "required": name in schema.get("required", ()),
            "schema": given[0],
        }


def _answer(schema: dict[str, Any] | None, content_type: str) -> dict[str, Any]:
    if schema is None:
        return {"description": "Done."}
    if content_type == EVENT_STREAM:
        # A stream has no schema of its own: the data of its events has.
        return {
            "description": f"Server-sent events; their data: {schema['$ref'].rpartition('/')[2]}.",
            "content": {content_type: {"schema": {"type": "string"}}},
        }
    return {"description": "As asked.", "content": {content_type: {"schema": schema}}}
