"""HTTP, spelt in one place: the polite client, its pace, its patience, and the pagers."""

from cdrctl.http.answers import error_of, said
from cdrctl.http.client import Client, Log
from cdrctl.http.exchange import beginning
from cdrctl.http.messages import MASK, Answer, Request
from cdrctl.http.pace import Clock, RateLimit, RateStore, RetryPolicy, published
from cdrctl.http.pagers import RepeatedKeyError, Total, by_halving, by_key, by_link, by_offset, read_total
from cdrctl.http.retry import Patience, retry_after
from cdrctl.http.tokens import Token, TokenStore, sign_headers, unauthorized
from cdrctl.http.urls import same_origin

__all__ = [
    "MASK",
    "Answer",
    "Client",
    "Clock",
    "Log",
    "Patience",
    "RateLimit",
    "RateStore",
    "RepeatedKeyError",
    "Request",
    "RetryPolicy",
    "Token",
    "TokenStore",
    "Total",
    "beginning",
    "by_halving",
    "by_key",
    "by_link",
    "by_offset",
    "error_of",
    "published",
    "read_total",
    "retry_after",
    "said",
    "same_origin",
    "sign_headers",
    "unauthorized",
]
