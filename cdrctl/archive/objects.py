"""The objects of a store: listed, downloaded, and replaced under a condition, by the package obstore.

The credentials come from where the cloud's own programs look for them: the environment, a profile (with boto3), the
instance. Requests that fail for a while are sent again by obstore. What then fails is a StoreError. Its text has
no more of what a store said than its code: messages of stores may contain keys and signatures.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple
from urllib.parse import urlsplit

from cdrctl.errors import ConfigurationError, ConflictError, StoreError, UsageError

MAX_WAIT = "CDRCTL_STORE_MAX_WAIT"
"""The variable with the seconds for which one request to a store is repeated."""
_MAX_WAIT = 120.0
_BACKOFF = {"init_backoff": timedelta(milliseconds=200), "max_backoff": timedelta(seconds=15), "base": 2}


class Version(NamedTuple):
    """One version of an object.

    Args:
        size: Its bytes.
        etag: Its tag, by which a store tells versions apart.
        generation: What Google's stores tell them apart by; None elsewhere.
    """

    size: int
    etag: str
    generation: str | None = None


def checked_url(text: str) -> str:
    """Return the URL of a prefix without a slash at its end.

    Raises:
        UsageError: It names no bucket, or contains a credential or a query.
    """
    example = "write it as s3://BUCKET/PREFIX"
    try:
        parts = urlsplit(text)
        has_secret = "@" in parts.netloc or bool(parts.query or parts.fragment)
    except ValueError:
        raise UsageError("the URL of the archive cannot be read", hint=example) from None
    if has_secret:
        raise UsageError(
            "the URL of an archive must not contain a credential, a query or a fragment",
            hint=f"{example}; credentials come from the environment or the profile of the cloud's own programs",
        )
    path = parts.path.strip("/")
    if not parts.netloc or any(one in {"", ".", ".."} for one in path.split("/") if path):
        raise UsageError(f"{text} does not name a bucket and a prefix", hint=example)
    return f"{parts.scheme.lower()}://{parts.netloc}{path and f'/{path}'}"


class Objects:
    """The objects below a prefix of a store; their keys are relative to it."""

    def __init__(self, url: str, environ: Mapping[str, str] = os.environ) -> None:
        self.url = url
        try:
            stores = import_module("obstore.store")
            self._obstore = import_module("obstore")
        except ImportError:
            raise ConfigurationError(
                f"{url} is in an object store, and the package obstore is not installed",
                hint="pip install 'cdrctl[store]'",
            ) from None
        seconds = _max_wait(environ)
        retry = {"max_retries": 10, "retry_timeout": timedelta(seconds=seconds), "backoff": _BACKOFF}
        credentials = _profile_credentials(environ) if url.startswith("s3") else None
        options: dict[str, Any] = {} if credentials is None else {"credential_provider": credentials}
        try:
            self._store: Any = stores.from_url(url, retry_config=retry, client_options=_client(environ), **options)
        except Exception as error:  # noqa: BLE001 - obstore has no common class for these
            raise _settings_error(url, error) from None

    def keys(self, prefix: str) -> Iterator[tuple[str, Version]]:
        """Yield the keys that begin with a prefix, which ends with a slash, and the versions of their objects."""
        with self._errors(prefix):
            for part in self._obstore.list(self._store, prefix.rstrip("/") or None, chunk_size=1000):
                for one in part:
                    yield one["path"], _version(one)

    def level(self, prefix: str) -> tuple[list[str], dict[str, Version]]:
        """Return the names of the folders in a folder, and its objects."""
        with self._errors(prefix):
            found = self._obstore.list_with_delimiter(self._store, prefix.rstrip("/") or None)
        folders = [one.rstrip("/").rpartition("/")[2] for one in found["common_prefixes"]]
        return folders, {one["path"].rpartition("/")[2]: _version(one) for one in found["objects"]}

    def download(self, key: str, out: BinaryIO, etag: str | None = None) -> Version:
        """Write an object to a file, and return its version.

        Args:
            key: The key.
            out: The file.
            etag: The version that is wanted; None for any.

        Raises:
            FileNotFoundError: There is none.
            ConflictError: Another version is there.
        """
        with self._errors(key):
            found = self._obstore.get(self._store, key, options={"if_match": etag} if etag else None)
            out.writelines(found.stream(min_chunk_size=1 << 20))
            return _version(found.meta)

    def put(self, key: str, content: bytes | Path, old: Version | None) -> Version:
        """Write an object if the one that is there is the expected one, and return its version.

        Args:
            key: The key.
            content: The content, or a file that has it.
            old: The version that must be there; None if none must.

        Raises:
            ConflictError: Another version is there.
        """
        if old is not None and old.generation is None and self.url.startswith("gs:"):
            old = self._with_generation(key, old)  # listings do not have it
        mode: Any = "create" if old is None else {"e_tag": old.etag}
        if old is not None and old.generation is not None:
            mode["version"] = old.generation
        with self._errors(key):
            found = self._obstore.put(self._store, key, content, mode=mode, use_multipart=False)
        size = len(content) if isinstance(content, bytes) else content.stat().st_size
        if found["e_tag"] is None:
            with self._errors(key):
                return _version(self._obstore.head(self._store, key))
        return _version({**found, "size": size})

    def _with_generation(self, key: str, old: Version) -> Version:
        """Return a version with its generation.

        Raises:
            ConflictError: Another version is there.
        """
        there = self.head(key)
        if there is None or there.etag != old.etag:
            raise _conflict(f"{self.url}/{key}")
        return there

    def head(self, key: str) -> Version | None:
        """Return the version of an object; None if there is none."""
        try:
            with self._errors(key):
                return _version(self._obstore.head(self._store, key))
        except FileNotFoundError:
            return None

    def remove(self, keys: list[str]) -> None:
        """Remove objects; it does not matter whether they are there."""
        try:
            with self._errors(keys[0]):
                self._obstore.delete(self._store, keys)
        except FileNotFoundError:
            return

    @contextmanager
    def _errors(self, key: str) -> Iterator[None]:
        exceptions = self._obstore.exceptions

        name = f"{self.url}/{key}"
        try:
            yield
        except FileNotFoundError as error:
            if re.search(r"NoSuchBucket|ContainerNotFound|bucket does not exist", str(error)):
                raise StoreError(
                    f"{self.url}: the store has no such bucket",
                    exit_code=6,
                    hint="create the bucket, or correct the URL, the endpoint or the region",
                ) from None
            raise FileNotFoundError(2, "no such object", name) from None
        except (exceptions.AlreadyExistsError, exceptions.PreconditionError):
            raise _conflict(name) from None
        except (exceptions.PermissionDeniedError, exceptions.UnauthenticatedError) as error:
            raise _rights_error(name, error) from None
        except exceptions.BaseError as error:
            raise _request_error(name, error) from None


def _conflict(name: str) -> ConflictError:
    return ConflictError(
        f"{name}: another run wrote it at the same time", hint="run the command again: nothing was lost"
    )


def _version(one: Mapping[str, Any]) -> Version:
    tag = one["e_tag"] or ""
    if tag and not tag.endswith('"'):
        tag = f'"{tag}"'  # Azure's listings have no quotes, its answers to a GET or PUT have them
    return Version(one["size"], tag, one["version"])


def _client(environ: Mapping[str, str]) -> dict[str, Any]:
    """Return the options of the connections; obstore itself reads them only where it is given none.

    Raises:
        ConfigurationError: The file of certificates cannot be read.
    """
    names = ("AWS_ALLOW_HTTP", "AZURE_ALLOW_HTTP", "GOOGLE_ALLOW_HTTP")
    options: dict[str, Any] = {
        "timeout": timedelta(seconds=300),
        "read_timeout": timedelta(seconds=30),
        "allow_http": any(environ.get(name, "").lower() in {"1", "true", "yes", "on"} for name in names),
    }
    if bundle := environ.get("AWS_CA_BUNDLE"):
        try:
            options["root_certificate"] = Path(bundle).read_bytes()
        except OSError as error:
            raise ConfigurationError(
                f"AWS_CA_BUNDLE: {bundle} cannot be read: {error.strerror}", hint="correct the path in AWS_CA_BUNDLE"
            ) from None
    return options


def _max_wait(environ: Mapping[str, str]) -> float:
    text = environ.get(MAX_WAIT, "")
    try:
        found = float(text) if text else _MAX_WAIT
    except ValueError:
        found = -1.0
    if not 0 <= found <= 86_400:
        raise ConfigurationError(f"{MAX_WAIT} is not a number of seconds", hint=f"for example: {MAX_WAIT}=120")
    return found


def _profile_credentials(environ: Mapping[str, str]) -> Any:
    """Return where the credentials of an AWS profile come from; None if they are in the environment or the instance.

    Raises:
        ConfigurationError: A profile is named, and the package that reads profiles is not installed.
    """
    if environ.get("AWS_ACCESS_KEY_ID") or environ.get("AWS_WEB_IDENTITY_TOKEN_FILE"):
        return None
    places = {"AWS_SHARED_CREDENTIALS_FILE": "~/.aws/credentials", "AWS_CONFIG_FILE": "~/.aws/config"}
    files = [environ.get(name, usual) for name, usual in places.items()]
    named = environ.get("AWS_PROFILE")
    if not named and not any(Path(one).expanduser().is_file() for one in files):
        return None
    if find_spec("boto3") is None:
        if not named:
            return None
        raise ConfigurationError(
            "AWS_PROFILE names a profile, and the package boto3, which reads profiles, is not installed",
            hint="pip install boto3; or export the credentials: aws configure export-credentials --format env",
        )
    try:
        return import_module("obstore.auth.boto3").Boto3CredentialProvider()
    except Exception as error:  # noqa: BLE001 - botocore's errors have no common class that says so
        raise ConfigurationError(
            f"the AWS profile has no usable credentials: {type(error).__name__}",
            hint="check it with: aws sts get-caller-identity",
        ) from None


_STATUS = re.compile(r"status code: (\d{3})")
_CODE = re.compile(r"<Code>(\w{1,64})</Code>")
_NO_CREDENTIALS = re.compile(r"169\.254\.169\.254|metadata\.google|missing ?credentials", re.IGNORECASE)


def _said(error: Exception) -> str | None:
    """Return the code of an answer of a store; None if there is none."""
    found = _CODE.search(str(error)) or _STATUS.search(str(error))
    return found and found[1]


def _rights_error(name: str, error: Exception) -> StoreError:
    return StoreError(
        f"{name}: the store refuses the credential, or the credential lacks a permission",
        exit_code=4,
        said=_said(error),
        hint="reading needs the rights to list and to get objects; writing also those to put and to delete",
    )


def _settings_error(url: str, error: Exception) -> ConfigurationError:
    """Return the error for settings that obstore does not accept; its text may contain their values."""
    return ConfigurationError(
        f"{url}: the settings of the store cannot be used ({type(error).__name__})",
        hint="check the variables of the store: AWS_…, GOOGLE_… or AZURE_…",
    )


def _request_error(name: str, error: Exception) -> StoreError:
    text = str(error)
    if _NO_CREDENTIALS.search(text):
        return StoreError(
            f"{name}: there is no credential for the store",
            exit_code=4,
            hint="set the variables of the cloud, such as AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE",
        )
    if "builder error" in text or "scheme is not allowed" in text:
        return StoreError(
            f"{name}: the endpoint of the store is not encrypted",
            exit_code=6,
            hint="use an https endpoint; or accept it for a store in your own network: AWS_ALLOW_HTTP=true",
        )
    status = _STATUS.search(text)
    if status and (status[1] == "501" or status[1][0] in "34") and status[1] not in {"408", "409", "429"}:
        return StoreError(
            f"{name}: the store refused the request",
            exit_code=6,
            said=_said(error),
            hint="check the endpoint and the region: AWS_ENDPOINT_URL, AWS_REGION",
        )
    what = "is busy, or failed" if status else "cannot be reached, or the connection broke"
    return StoreError(
        f"{name}: the store {what}",
        exit_code=5,
        said=_said(error),
        hint="run the command again later: finished days stay; "
        f"{MAX_WAIT} sets how long a request is retried (default: 120 s)",
    )
