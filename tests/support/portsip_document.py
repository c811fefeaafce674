"""PortSIP's OpenAPI file, with which requests to a PBX and its responses are compared."""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import httpx
from jsonschema_path import SchemaPath
from openapi_core import Config, OpenAPI
from openapi_core.datatypes import RequestParameters
from openapi_core.validation.schemas import oas31_schema_validators_factory
from openapi_core.validation.schemas.exceptions import InvalidSchemaValue
from openapi_core.validation.schemas.factories import DialectSchemaValidatorsFactory
from openapi_core.validation.schemas.validators import SchemaValidator
from werkzeug.datastructures import Headers, ImmutableMultiDict

Row = dict[str, Any]

PLAIN: Row = json.loads((Path(__file__).parents[1] / "data/portsip/openapi_v22.2_trimmed.json").read_text("utf-8"))
"""The vendor's file, reduced to the calls in question."""

_SERVER = "https://HOSTNAME:8887"
_CALLS = ("/cdrs", "/calllogs", "/user/cdrs")
_LISTINGS = (*_CALLS, "/recordings", "/user/recordings", "/call_reports", "/completed_call_reports")


# Where the file is wrong or incomplete


@dataclass(frozen=True, slots=True)
class Exemption:
    """A point in which the file is wrong or incomplete.

    Args:
        name: The point.
        reason: What contradicts the file, or what the file leaves open.
        mend: Corrects the file.
    """

    name: str
    reason: str
    mend: Callable[[Row], None]


def _objects(value: Any) -> Iterator[Row]:
    """Yield the schemas of all objects."""
    if isinstance(value, dict) and isinstance(value.get("properties"), dict):
        yield value
    if isinstance(value, dict | list):
        for one in value.values() if isinstance(value, dict) else value:
            yield from _objects(one)


def _schemas(value: Any, name: str) -> Iterator[Row]:
    """Yield the schemas of all properties with a name."""
    for schema in _objects(value):
        if name in schema["properties"]:
            yield schema["properties"][name]


def _also(name: str, value: str) -> Callable[[Row], None]:
    """Let the properties with a name have one more value."""

    def mend(document: Row) -> None:
        for schema in _schemas(document["paths"], name):
            described = dict(schema)
            schema.clear()
            schema["anyOf"] = [described, {"const": value}]

    return mend


def _also_in_reports(name: str) -> Callable[[Row], None]:
    """Let a time of a report be empty."""
    return lambda document: _also(name, "")({"paths": document["paths"]["/call_reports/{id}"]["get"]})


def _one_tag_of_a_name(document: Row) -> None:
    document["tags"] = list({one["name"]: one for one in document["tags"]}.values())


def _any_shape(document: Row) -> None:
    for schema in _schemas(document["paths"], "filter"):
        if "oneOf" in schema:
            schema["anyOf"] = schema.pop("oneOf")


def _options_of_lists(document: Row) -> None:
    known = document["paths"]["/recordings"]["get"]["parameters"]
    for path in _CALLS:
        operation = document["paths"][path]["get"]
        operation["parameters"] = [*operation.get("parameters", ()), *copy.deepcopy(known)]


def _count(document: Row) -> None:
    count = {"name": "count", "in": "query", "schema": {"type": "boolean"}}
    for path in _LISTINGS:
        operation = document["paths"][path]["get"]
        operation["parameters"] = [*operation.get("parameters", ()), count]


def _oauth(document: Row) -> None:
    text = {"type": "string"}
    names = ("grant_type", "username", "password", "domain", "scope", "client_id", "refresh_token")
    form = {
        "type": "object",
        "properties": dict.fromkeys(names, text) | {"grant_type": {"enum": ["password", "refresh_token"]}},
        "required": ["grant_type", "client_id"],
    }
    renewed = document["paths"]["/auth/refresh_token"]["post"]
    document["paths"]["/login/oauth/token"] = {
        "post": {
            "security": [],
            "requestBody": {"required": True, "content": {"application/x-www-form-urlencoded": {"schema": form}}},
            "responses": copy.deepcopy(renewed["responses"]),
        }
    }


def _bytes(document: Row) -> None:
    del document["paths"]["/blobs/{digest}"]["get"]["responses"]["200"]["content"]["application/octet-stream"]["schema"]


_MAY_BE_EMPTY = "x-may-be-empty"


def _tokens(document: Row) -> None:
    token = document["paths"]["/auth/refresh_token"]["post"]["responses"]["200"]["content"]
    for path in ("/login", "/auth/verify_otp"):
        document["paths"][path]["post"]["responses"]["200"] |= {"content": copy.deepcopy(token), _MAY_BE_EMPTY: True}


def _parts_of_filters(document: Row) -> None:
    shown = document["paths"]["/call_reports/{id}"]["get"]["responses"]["200"]["content"]["application/json"]["schema"]
    for shape in _objects(shown["properties"]["filter"]):
        del shape["required"]


EXEMPTIONS = (
    Exemption("a tag named twice", "OpenAPI wants each tag once: as it is, the file is not valid", _one_tag_of_a_name),
    Exemption(
        "bytes as text",
        "a file is described as OpenAPI 3.0 would have it, as a string; since 3.1, which this is, bytes have no schema",
        _bytes,
    ),
    Exemption(
        "one shape of filter",
        "a report's filter is one of twelve, of which some are alike and none requires a key: one value fits many",
        _any_shape,
    ),
    Exemption(
        "parts of a filter",
        "a report shows the filter that it was given, and most of a filter need not be given",
        _parts_of_filters,
    ),
    Exemption(
        "empty started_at of a report",
        "a range other than CUSTOM has no times, and nothing is written as in real_cdrs_list.json",
        _also_in_reports("started_at"),
    ),
    Exemption("empty ended_at of a report", "as its started_at", _also_in_reports("ended_at")),
    Exemption(
        "options of listings of calls",
        "the file gives them to recordings and reports; the guide's examples of them are all of /cdrs",
        _options_of_lists,
    ),
    Exemption("count", "the guide has it beside the other options; in the file it is nowhere", _count),
    Exemption(
        "CALLER_DISCONNECT",
        "real_cdrs_list.json spells it so, where the file has CALLER_DISCONNECTED",
        _also("end_reason", "CALLER_DISCONNECT"),
    ),
    Exemption("empty end_reason", "real_cdrs_list.json, for a callee that was busy", _also("end_reason", "")),
    Exemption("empty reroute_reason", "real_cdrs_list.json, where nothing was rerouted", _also("reroute_reason", "")),
    Exemption(
        "empty outbound_caller_id",
        "real_cdrs_list.json, for calls within; the file wants one character at least",
        _also("outbound_caller_id", ""),
    ),
    Exemption("empty answered_at", "real_cdrs_list.json, for a call that was not answered", _also("answered_at", "")),
    Exemption("empty rang_at", "of a call that never rang, as answered_at", _also("rang_at", "")),
    Exemption(
        "/login/oauth/token",
        "the sign-in of v16 to v22.0 stands in the guide alone; doc_oauth_token_200.json is its answer",
        _oauth,
    ),
    Exemption(
        "answers to sign-ins",
        "those to POST /login and /auth/verify_otp are not described: a token, or nothing where GET /login tells it",
        _tokens,
    ),
)


# Comparing


def _is_time(value: object) -> bool:
    return not isinstance(value, str) or bool(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,6})?Z", value))


def _fits(bits: int) -> Callable[[object], bool]:
    return lambda value: not isinstance(value, int) or -(2 ** (bits - 1)) <= value < 2 ** (bits - 1)


_FORMATS: dict[str, Callable[[Any], bool]] = {"date_time": _is_time, "int32": _fits(32), "int64": _fits(64)}


class _Asked:
    """A request, for openapi-core."""

    def __init__(self, request: httpx.Request, path: str) -> None:
        self.host_url = _SERVER
        self.path = f"/api{path}"
        self.method = request.method.lower()
        self.content_type = request.headers.get("Content-Type", "").lower()
        self.body = request.content
        self.parameters = RequestParameters(
            query=ImmutableMultiDict(request.url.params.multi_items()), header=Headers(request.headers.multi_items())
        )


class _Answered:
    """A response, for openapi-core."""

    def __init__(self, response: httpx.Response) -> None:
        self.status_code = response.status_code
        self.content_type = response.headers.get("Content-Type", "").lower()
        self.headers = Headers(response.headers.multi_items())
        self.data = response.content


class _Validators(DialectSchemaValidatorsFactory):
    """A factory of validators, which makes one for each schema of a file."""

    def __init__(self) -> None:
        usual = oas31_schema_validators_factory
        super().__init__(usual.schema_validator_cls, usual.default_jsonschema_dialect_id, usual.format_checker)
        self.made: dict[tuple[object, ...], SchemaValidator] = {}

    def create(self, spec: SchemaPath, schema: SchemaPath, *given: Any, **named: Any) -> SchemaValidator:
        """Return a validator for a schema."""
        known = self.made.get(schema.parts)
        if known is None:
            known = self.made[schema.parts] = super().create(spec, schema, *given, **named)
        return known


class Document:
    """The file with its exemptions, or without some of them.

    No object may have keys that are not in the file, and those of a response have all keys that are. The whole file is
    validated with all exemptions, and where `valid` is set.
    """

    def __init__(self, without: Collection[str] = (), *, valid: bool = False) -> None:
        assert {one.name for one in EXEMPTIONS} >= set(without)
        self.document = copy.deepcopy(PLAIN)
        for operations in self.document["paths"].values():
            for operation in operations.values():
                for schema in _objects(operation["responses"]):
                    schema["required"] = list(schema["properties"])
        for one in EXEMPTIONS:
            if one.name not in without:
                one.mend(self.document)
        config = Config(
            additional_properties_default_policy="forbid",
            extra_format_validators=_FORMATS,
            schema_validators_factory=_Validators(),
        )
        if without and not valid:
            config.spec_validator_cls = None
        self._openapi = OpenAPI.from_dict(self.document, config=config)

    def operation(self, method: str, path: str) -> tuple[str, Row]:
        """Return the operation of a request, such as `GET /cdrs/{id}`, and the file's entry for it."""
        for template in sorted(self.document["paths"], key=lambda one: one.count("{")):
            if re.fullmatch(re.sub(r"\{\w+\}", "[^/]+", template), path):
                found: Row | None = self.document["paths"][template].get(method.lower())
                if found is not None:
                    return f"{method} {template}", found
        raise LookupError(f"the file has no {method} {path}")

    def faults(self, response: httpx.Response) -> list[str]:
        """Return where a response, or its request, differs from the file."""
        request = response.request
        path = path_of(request)
        try:
            name, operation = self.operation(request.method, path)
        except LookupError as error:
            return [str(error)]
        asked, answered = _Asked(request, path), _Answered(response)
        declared = {one["name"] for one in operation.get("parameters", ()) if one["in"] == "query"}
        wrong = [f"query has {one}" for one in request.url.params if one not in declared]
        wrong += _said(list(self._openapi.iter_request_errors(asked)))
        described = operation["responses"].get(str(response.status_code), {})
        answer = _beside(described, response)
        if response.content or _MAY_BE_EMPTY not in described:
            answer += _said(list(self._openapi.iter_response_errors(asked, answered)))
        return [f"{name}: {one}" for one in wrong] + [f"{name} {response.status_code}: {one}" for one in answer]


def path_of(request: httpx.Request) -> str:
    """Return the path of a request as the file writes it: after `/api`."""
    return request.url.raw_path.partition(b"?")[0].decode().partition("/api")[2]


@cache
def document(*without: str, valid: bool = False) -> Document:
    """Return the file with its exemptions, those named left out."""
    return Document(without, valid=valid)


def _beside(described: Row, response: httpx.Response) -> list[str]:
    """Return faults that openapi-core does not check: missing headers, and bodies that should not be there."""
    wrong = [f"no {name}" for name in described.get("headers", ()) if name not in response.headers]
    if response.is_success and response.content and "content" not in described:
        wrong.append("a body where none is described")
    return wrong


def _said(errors: Sequence[Exception]) -> list[str]:
    """Return errors as texts, with those of the schema where there are any."""
    said: list[str] = []
    for error in errors:
        cause: BaseException | None = error
        while cause is not None and not isinstance(cause, InvalidSchemaValue):
            cause = cause.__cause__
        said += [str(error)] if cause is None else [_described(one) for one in cause.schema_errors]
    return said


def _described(error: Any) -> str:
    return f"{error.json_path} {error.message}"
