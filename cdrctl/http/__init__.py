"""HTTP, spelt in one place: the polite client, its pace, its patience, and the pagers."""

from cdrctl.http.client import Client, Tell, Token, TokenShelf, error_of, said
from cdrctl.http.pace import Budget, Clock, Manners
from cdrctl.http.pagers import RepeatedKeyError, by_key, by_link
from cdrctl.http.wire import Answer, Ask, same_origin

__all__ = [
    "Answer",
    "Ask",
    "Budget",
    "Client",
    "Clock",
    "Manners",
    "RepeatedKeyError",
    "Tell",
    "Token",
    "TokenShelf",
    "by_key",
    "by_link",
    "error_of",
    "said",
    "same_origin",
]
