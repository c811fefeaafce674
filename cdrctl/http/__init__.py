"""HTTP: the client, rate limits, retries, and pagers."""

from cdrctl.http.answers import REFUSED_HINT, error_of, said
from cdrctl.http.client import Api, Client, Limits, open_client
from cdrctl.http.exchange import beginning
from cdrctl.http.messages import MASK, Answer, Request
from cdrctl.http.pace import Clock, RateLimit, RateStore, published
from cdrctl.http.pagers import RepeatedKeyError, Total, by_halving, by_key, by_link, by_offset, in_halves, read_total
from cdrctl.http.retry import Patience, RetryPolicy, Schedule, retry_after
from cdrctl.http.sending import Log, Outages
from cdrctl.http.tokens import Token, TokenStore, sign_headers, unauthorized
from cdrctl.http.urls import same_origin

__all__ = [
    "MASK",
    "REFUSED_HINT",
    "Answer",
    "Api",
    "Client",
    "Clock",
    "Limits",
    "Log",
    "Outages",
    "Patience",
    "RateLimit",
    "RateStore",
    "RepeatedKeyError",
    "Request",
    "RetryPolicy",
    "Schedule",
    "Token",
    "TokenStore",
    "Total",
    "beginning",
    "by_halving",
    "by_key",
    "by_link",
    "by_offset",
    "error_of",
    "in_halves",
    "open_client",
    "published",
    "read_total",
    "retry_after",
    "said",
    "same_origin",
    "sign_headers",
    "unauthorized",
]
