"""CallGear filters and sort orders."""

from __future__ import annotations

import json

import pytest

from cdrctl.errors import UsageError
from cdrctl.fetchers.callgear.fields import CALLS, COSTS, LEGS
from cdrctl.fetchers.callgear.filters import filter_tree, sorting
from tests.support.products import for_each

from .callgear_kit import SINCE, UNTIL, Service, Wire, a_day


@for_each(
    "text, tree",
    [
        ("direction=in", {"field": "direction", "operator": "=", "value": "in"}),
        ("direction!=out", {"field": "direction", "operator": "!=", "value": "out"}),
        ("duration>60", {"field": "duration", "operator": ">", "value": 60}),
        (" duration >= 60 ", {"field": "duration", "operator": ">=", "value": 60}),
        ("duration<=1.5", {"field": "duration", "operator": "<=", "value": 1.5}),
        ("duration<-1", {"field": "duration", "operator": "<", "value": -1}),
        ("is_talked=TRUE", {"field": "is_talked", "operator": "=", "value": True}),
        ("is_talked!=false", {"field": "is_talked", "operator": "!=", "value": False}),
        ("employee_id=null", {"field": "employee_id", "operator": "=", "value": None}),
        ("group_name!=null", {"field": "group_name", "operator": "!=", "value": None}),
        ("employee_full_name~%Smith=%", {"field": "employee_full_name", "operator": "like", "value": "%Smith=%"}),
        ("calling_phone_number=0049", {"field": "calling_phone_number", "operator": "=", "value": "0049"}),
        ("id=9000000001", {"field": "id", "operator": "=", "value": 9_000_000_001}),
        ("group_name=", {"field": "group_name", "operator": "="}),
        ('{"field":"id","operator":"in","value":[1,2]}', {"field": "id", "operator": "in", "value": [1, 2]}),
        (
            ' {"field":"group_name","operator":"not_in","value":["a"]}',
            {"field": "group_name", "operator": "not_in", "value": ["a"]},
        ),
    ],
)
def test_an_expression_becomes_a_filter(text: str, tree: Wire) -> None:
    assert filter_tree(LEGS, (text,)) == tree
    service = a_day(1)
    service.ids(SINCE, UNTIL, filter=(text,))
    assert [params["filter"] for params in service.params] == [tree, tree]
    assert json.dumps(service.params[0]["filter"]) == json.dumps(tree)


def test_several_expressions_must_all_match() -> None:
    nested = {"filters": [{"field": "id", "operator": "=", "value": 1}], "condition": "or"}
    assert filter_tree(LEGS, ("direction=in", json.dumps(nested))) == {
        "filters": [{"field": "direction", "operator": "=", "value": "in"}, nested],
        "condition": "and",
    }
    assert filter_tree(LEGS, ()) is None


def test_filters_on_lists_must_be_json_and_times_in_callgears_format() -> None:
    tree = {"field": "tags", "operator": "jsquery", "value": '#.tag_name = "x"'}
    assert filter_tree(CALLS, (json.dumps(tree),)) == tree
    with pytest.raises(UsageError, match="jsquery"):
        filter_tree(CALLS, ("tags=x",))
    time = {"field": "sale_date", "operator": ">=", "value": "2026-11-01 00:00:00"}
    assert filter_tree(CALLS, ("sale_date>=2026-11-01 00:00:00",)) == time
    with pytest.raises(UsageError, match="in CallGear's format"):
        filter_tree(CALLS, ("sale_date>=yesterday",))


@for_each(
    "text, said, hint",
    [
        ("directoin=in", "no field 'directoin'", "direction"),
        ("zzz=1", "no field 'zzz'", "these can be filtered on: id, "),
        ("start_time>2026-01-01 00:00:00", "start_time cannot be filtered on", "--since and --until"),
        ("contact_id=7", "contact_id cannot be filtered on", ""),
        ("duration=long", "'long' is not a number", ""),
        ("duration~1%", "cannot be compared with 'like'", "= != < >"),
        ("group_name>a", "cannot be compared with '>'", ""),
        ("is_talked=1", "true or false", ""),
        ("direction", "cannot be read", "--filter direction=in"),
        ("=in", "cannot be read", ""),
        ("", "cannot be read", ""),
        ("{", "not valid JSON", ""),
        ("{}", "a field, an operator and a value", ""),
        ('{"field":"x","operator":"=","value":1}', "no field 'x'", ""),
        ('{"field":"id","operator":"==","value":1}', "cannot be compared with '=='", ""),
        ('{"field":"id","operator":"=","value":"1"}', "is not a value of id", ""),
        ('{"field":"id","operator":"=","value":true}', "is not a value of id", ""),
        ('{"field":"id","operator":"=","val":1}', "'val' is not a key", "field, operator, value"),
        ('{"field":7,"operator":"=","value":1}', "a field, an operator and a value", ""),
        ('{"filters":[],"condition":"and"}', "a list of filters", ""),
        ('{"filters":[{}],"condition":"xor"}', "a list of filters", ""),
        ('{"filters":[7],"condition":"and"}', "7 is not a filter", ""),
        ('{"filters":[{"field":"x","operator":"="}],"condition":"or"}', "no field 'x'", ""),
        ('{"filters":[' * 25 + "{}" + '],"condition":"or"}' * 25, "is not a filter", ""),
    ],
)
def test_invalid_filter_is_refused_before_a_request(text: str, said: str, hint: str) -> None:
    service = Service()
    error = service.fails(UsageError, filter=(text,))
    assert said in error.message
    assert hint in (error.hint or "")
    assert error.exit_code == 2
    assert service.asked == []


def test_order_always_ends_with_the_start() -> None:
    by_start = {"field": "start_time", "order": "asc"}
    assert sorting(LEGS, ()) == [by_start]
    assert sorting(LEGS, ("duration:desc", "direction")) == [
        {"field": "duration", "order": "desc"},
        {"field": "direction", "order": "asc"},
        by_start,
    ]
    assert sorting(COSTS, ("start_time:desc",)) == [{"field": "start_time", "order": "desc"}]
    service = a_day(3)
    service.ids(SINCE, UNTIL, orderby=("duration:desc",))
    assert service.params[0]["sort"] == [{"field": "duration", "order": "desc"}, by_start]
    assert service.params[1]["sort"] == [by_start], "the question for the earliest is never sorted otherwise"


@for_each(
    "text, said",
    [("id", "id cannot be sorted by"), ("duratoin", "no field"), ("duration:down", "cannot be read"), ("", "no field")],
)
def test_invalid_order_is_refused_before_a_request(text: str, said: str) -> None:
    service = Service()
    assert said in service.fails(UsageError, orderby=(text,)).message
    assert service.asked == []
