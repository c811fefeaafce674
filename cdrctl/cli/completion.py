"""What a shell asks while somebody types, answered from files: neither typer nor a provider is loaded for it.

`completion.json` and the files in `known/` are made of the commands themselves, and tests hold them against them. The
rest is what this machine knows: profiles, zones, formats that are installed. Nobody else is asked, no secret is had,
and nothing but an answer is printed, whatever is wrong.

The scripts in `completions/` ask `ask_bash`, `ask_zsh` or `ask_fish`, and hand over what is typed in a variable: who
loses it on the way to the program, as a wrapper may, gets its help, and never a run of what was being typed. Typer's
own scripts ask `complete_bash` and so on, and are told names of commands and options; what is not plain there is left
to typer, by giving no answer: another shell, quotes, `--option=value`, several flags in one word, words that are wrong.
"""

from __future__ import annotations

import json
import os
import stat
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any, NamedTuple

FOLDER = os.path.dirname(__file__)  # noqa: PTH120 - pathlib takes a third of an answer
FILE = os.path.join(FOLDER, "completion.json")  # noqa: PTH118 - as above
KNOWN = os.path.join(FOLDER, "known")  # noqa: PTH118 - as above
VARIABLE = "_CDRCTL_COMPLETE"
LINE = "_CDRCTL_LINE"
"""What is typed before the cursor: a line of bash, or words."""

SEPARATOR = "\x1f"
"""What parts the words: none that anybody types has it."""

SANDBOX = "sandbox"
_NOT_PLAIN = frozenset("'\"\\=")
_NO_DETECTION = "_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION"
"""With it typer's own two options take a value."""

_BLANKS = " \t\n"
_NAME_SIGNS = frozenset("_.-")
_LONGEST_NAME = 64
_LARGEST_FILE = 4_000_000
_RAW = ("jsonl", "json")

Item = tuple[str, str]
"""A word, and what is said of it."""


class Typed(NamedTuple):
    """What stands on the line before the cursor.

    Args:
        words: The words, the command first and the one that is begun last.
        quote: The quote that the last one is in, or nothing.
        redirected: The last one names a file that the shell opens.
        broken: It ends in the middle of something: nothing can follow.
    """

    words: Sequence[str]
    quote: str = ""
    redirected: bool = False
    broken: bool = False


class Answer(NamedTuple):
    """What may stand there.

    Args:
        items: The words.
        kept: What of the word that is begun stays before each of them.
        goes_on: Each may go on after it: no blank follows.
        files: Not these words but `files` or `folders`, which a shell completes best.
    """

    items: Sequence[Item] = ()
    kept: str = ""
    goes_on: bool = False
    files: str = ""


class Line:
    """A line as far as it goes: which command, and what it was given.

    Attributes:
        place: The command as the file has it.
        path: Its name, word by word.
        used: Options that it was given, by their place in the list of all.
        values: The values of options, by the option's longest name, those before the command's name as well.
        given: Its arguments.
        due: The option whose value comes next.
        ended: `--` was given: what comes is no option.
    """

    def __init__(self, place: Any) -> None:
        self.place = place
        self.path: list[str] = []
        self.used: set[int] = set()
        self.values: dict[str, list[str]] = {}
        self.given: list[str] = []
        self.due: Any = None
        self.ended = False


def answer(environ: Mapping[str, str]) -> tuple[str, int] | None:
    """Return what is printed for the shell, and the exit code; None where typer is to answer."""
    way, _, shell = environ[VARIABLE].partition("_")
    if way == "ask":
        try:
            return _PRINTED[shell](environ), 0
        except Exception:  # noqa: BLE001 - whoever types is not to be told, whatever it is
            return "", 0
    words = environ.get("COMP_WORDS" if shell == "bash" else "_TYPER_COMPLETE_ARGS", "")
    if way != "complete" or shell not in _ANSWERS or not words.isascii() or _NOT_PLAIN & set(words):
        return None
    typed = words.split()
    at = environ.get("COMP_CWORD", "") if shell == "bash" else str(len(typed) - (not words[-1:].isspace()))
    if _NO_DETECTION in environ or not typed or not at.isdecimal() or not int(at):
        return None
    items = _names(typed[1 : int(at)], "".join(typed[int(at) : int(at) + 1]))
    return None if items is None else _ANSWERS[shell](items, environ)


# What may stand there


def completed(words: Sequence[str], environ: Mapping[str, str]) -> Answer:
    """Return what the last of these words may become; the first is the program's own name."""
    known = _read(FILE)
    line, begun = _walked(known, words[1:-1]), words[-1]
    if line is None:
        return Answer()
    if line.due is not None:
        return _values(known, line, line.due["value"], begun, "", environ)
    if begun.startswith("-") and not line.ended:
        one, name = _glued(known, line.place, begun)
        if one is not None:
            return _values(known, line, one["value"], begun[len(name) :], name, environ)
        return Answer(_options(known, line.place, line.used))
    if line.place["commands"]:
        return Answer([(name, one["about"]) for name, one in line.place["commands"].items()])
    kinds = line.place["arguments"]
    at = min(len(line.given), len(kinds) - 1) if line.place["goes_on"] else len(line.given)
    if at < len(kinds):
        return _values(known, line, kinds[at], begun, "", environ)
    return Answer(() if begun or line.ended else _options(known, line.place, line.used))


def _walked(known: Any, words: Iterable[str]) -> Line | None:
    """Return how far words lead; None where one of them is no command."""
    line = Line(known["top"])
    for word in words:
        if line.due is not None:
            line.values.setdefault(line.due["names"][-1], []).append(word)
            line.due = None
        elif word == "--" and not line.ended:
            line.ended = True
        elif word.startswith("-") and word != "-" and not line.ended:
            _option_given(known, line, word)
        elif line.place["commands"]:
            if word not in line.place["commands"]:
                return None
            line.place = line.place["commands"][word]
            line.path.append(word)
            line.used = set()
        else:
            line.given.append(word)
    return line


def _option_given(known: Any, line: Line, word: str) -> None:
    """Note the options of a word, of which there may be several in one, such as `-qfcsv`."""
    name, equals, value = word.partition("=")
    if word.startswith("--"):
        at = _named(known, line.place, name)
        if at is not None:
            _used(known, line, at, value if equals else None)
        return
    for place in range(1, len(word)):
        at = _named(known, line.place, f"-{word[place]}")
        if at is None:
            return
        _used(known, line, at, word[place + 1 :] or None)
        if known["options"][at]["takes_value"]:
            return


def _used(known: Any, line: Line, at: int, value: str | None) -> None:
    one = known["options"][at]
    line.used.add(at)
    if one["takes_value"] and value is None:
        line.due = one
    elif one["takes_value"]:
        line.values.setdefault(one["names"][-1], []).append(value or "")


def _named(known: Any, place: Any, name: str) -> int | None:
    return next((one for one in place["options"] if name in known["options"][one]["names"]), None)


def _glued(known: Any, place: Any, begun: str) -> tuple[Any, str]:
    """Return the option whose value is begun in its own word, and what stands before the value; None for a name."""
    name, equals, _ = begun.partition("=")
    if begun.startswith("--"):
        at = _named(known, place, name) if equals else None
        one = None if at is None else known["options"][at]
        return (one, f"{name}=") if one and one["takes_value"] else (None, "")
    for end in range(2, len(begun)):
        at = _named(known, place, f"-{begun[end - 1]}")
        if at is None:
            break
        if known["options"][at]["takes_value"]:
            return known["options"][at], begun[:end]
    return None, ""


def _options(known: Any, place: Any, used: set[int]) -> list[Item]:
    numbers = [at for at in place["options"] if at not in used or known["options"][at]["repeats"]]
    return [(name, known["options"][at]["about"]) for at in numbers for name in known["options"][at]["names"]]


def _values(known: Any, line: Line, kind: Any, begun: str, kept: str, environ: Mapping[str, str]) -> Answer:
    """Return the values of one kind; a list in place of a kind is of the values themselves."""
    if isinstance(kind, str):
        return _KINDS[kind](known, line, begun, kept, environ) if kind in _KINDS else Answer()
    items = [(one, "") if isinstance(one, str) else (one[0], one[1]) for one in kind or ()]
    return Answer(items, kept, goes_on=any(word.endswith("=") for word, _ in items))


# Kinds of values


def _files(_known: Any, _line: Line, _begun: str, kept: str, _environ: Mapping[str, str]) -> Answer:
    return Answer(kept=kept, files="files")


def _folders(_known: Any, _line: Line, _begun: str, kept: str, _environ: Mapping[str, str]) -> Answer:
    return Answer(kept=kept, files="folders")


def _formats(known: Any, line: Line, _begun: str, kept: str, _environ: Mapping[str, str]) -> Answer:
    raw = line.values.get("--schema", [""])[-1] == "raw"
    built_in = [(one[0], one[1]) for one in known["formats"] if not raw or one[0] in _RAW]
    return Answer([*built_in, *(() if raw else [(name, "installed") for name in _installed_formats()])], kept)


def _columns(_known: Any, line: Line, begun: str, kept: str, _environ: Mapping[str, str]) -> Answer:
    """Return the columns of this call and schema that are not among those chosen yet."""
    before, comma, _ = begun.rpartition(",")
    chosen = {name.strip() for name in before.split(",")}
    return Answer([one for one in _of_call(line) if one[0] not in chosen], kept + before + comma, goes_on=True)


def _first_column(_known: Any, line: Line, begun: str, kept: str, _environ: Mapping[str, str]) -> Answer:
    """Return the columns for the first word of what is typed in several."""
    return Answer(_of_call(line) if begun.replace(".", "").replace("_", "").isalnum() or not begun else (), kept, True)


def _of_call(line: Line) -> list[Item]:
    """Return the columns of a call, and what they mean."""
    schema, at = line.values.get("--schema", ["native"])[-1], line.place["columns"]
    if not at or schema == "raw":
        return []
    if schema == "common" or at == "common":
        return [(name, meaning) for name, meaning in _read(_known_file("common"))]
    provider, _, call = at.partition(" ")
    kept = _read(_known_file(provider))
    return [(name, meaning) for name, meaning in map(kept["columns"].__getitem__, kept["calls"][call])]


def _profiles_here(known: Any, line: Line, _begun: str, kept: str, environ: Mapping[str, str]) -> Answer:
    """Return the profiles of the command's provider, and the one that is built in; all where it has none."""
    if line.path[0] not in known["providers"]:
        return _profiles_all(known, line, "", kept, environ)
    found = _profiles(known, line, environ)
    return Answer([*_said([one for one in found if one[1] == line.path[0]]), _built_in(line.path[0])], kept)


def _profiles_all(known: Any, line: Line, _begun: str, kept: str, environ: Mapping[str, str]) -> Answer:
    """Return the profiles that can be used, whatever their provider, and were not named yet."""
    named = {*line.given, *line.values.get("--profile", ())}
    left = [*_said(one for one in _profiles(known, line, environ) if one[1]), _built_in("every provider")]
    return Answer([one for one in left if one[0] not in named], kept)


def _profiles_own(known: Any, line: Line, _begun: str, kept: str, environ: Mapping[str, str]) -> Answer:
    """Return the profiles that somebody has made and can use."""
    return Answer(_said(one for one in _profiles(known, line, environ) if one[1] in known["providers"]), kept)


def _profiles_kept(_known: Any, line: Line, _begun: str, kept: str, environ: Mapping[str, str]) -> Answer:
    """Return the profiles of the file, also those that cannot be used: unless they would be taken for options."""
    tables = (_tables(line, environ) or {}).items()
    shown = [(name, table) for name, table in tables if line.ended or not name.startswith("-")]
    return Answer([(name, _provider_of(table) or "cannot be used") for name, table in shown], kept)


def _said(found: Iterable[tuple[str, str]]) -> list[Item]:
    return [(name, f"{provider} profile") for name, provider in found]


def _built_in(whose: str) -> Item:
    return SANDBOX, f"built in: an imitation of {whose}"


def _providers(known: Any, _line: Line, _begun: str, kept: str, _environ: Mapping[str, str]) -> Answer:
    return Answer([(name, known["top"]["commands"][name]["about"]) for name in known["providers"]], kept)


def _calls(known: Any, line: Line, _begun: str, kept: str, _environ: Mapping[str, str]) -> Answer:
    """Return the calls of the provider that was named, as they are typed."""
    return _below(known["top"]["commands"].get(line.given[0], {}), line.given[1:], kept)


def _commands(known: Any, line: Line, _begun: str, kept: str, _environ: Mapping[str, str]) -> Answer:
    """Return the commands, and the topics, that may be asked about."""
    topics = [] if line.given else [(name, "a topic") for name in known["topics"]]
    return Answer([*_below(known["top"], line.given, kept).items, *topics], kept)


def _below(place: Any, words: Iterable[str], kept: str) -> Answer:
    for word in words:
        place = place.get("commands", {}).get(word, {})
    return Answer([(name, one["about"]) for name, one in place.get("commands", {}).items()], kept)


def _kept_calls(known: Any, line: Line, _begun: str, kept: str, environ: Mapping[str, str]) -> Answer:
    """Return the calls that an archive can keep, of the providers of the profiles that were named."""
    of = {name: provider for name, provider in _profiles(known, line, environ) if name in line.given}
    named = set(of.values()) if of and set(of) == set(line.given) else set(known["providers"])
    places = {name: known["top"]["commands"][name]["commands"] for name in known["providers"] if name in named}
    found = {
        call: one["about"]
        for name, place in places.items()
        for call, one in place.items()
        if call in known["archived"][name]
    }
    return Answer(list(found.items()), kept)


def _ways(known: Any, line: Line, _begun: str, kept: str, _environ: Mapping[str, str]) -> Answer:
    provider = line.values.get("--provider", [""])[-1]
    ways = [known["ways"][provider]] if provider in known["ways"] else known["ways"].values()
    return Answer(list({name: ", ".join(needs) for each in ways for name, needs in each.items()}.items()), kept)


def _settings(known: Any, line: Line, begun: str, kept: str, _environ: Mapping[str, str]) -> Answer:
    """Return the settings of a profile that are no secrets, and where secrets may be."""
    provider = line.values.get("--provider", [""])[-1]
    if "=" in begun:
        name, _, _ = begun.partition("=")
        return Answer(kept=f"{kept}{name}=", files="files") if name.endswith("_file") else Answer()
    named = [known["settings"][provider]] if provider in known["settings"] else known["settings"].values()
    found = {f"{name}=": about for each in named for name, about in each.items()}
    return Answer(list(found.items()), kept, goes_on=True)


def _switches(_known: Any, _line: Line, begun: str, kept: str, _environ: Mapping[str, str]) -> Answer:
    name, equals, _ = begun.partition("=")
    switches = _read(_known_file("sandbox"))
    if equals:
        return Answer([(word, "") for word in switches.get(name, ["", []])[1]], f"{kept}{name}=")
    return Answer([(f"{name}=", about) for name, (about, _) in switches.items()], kept, goes_on=True)


def _zones(_known: Any, _line: Line, _begun: str, kept: str, _environ: Mapping[str, str]) -> Answer:
    """Return the time zones of this machine, by the names of their files; none of them is opened."""
    import zoneinfo

    names = {name for root in zoneinfo.TZPATH for name in _zones_in(root, "")} or set(_packaged_zones())
    return Answer([("local", "this machine's zone"), *((name, "") for name in sorted(names))], kept)


def _zones_in(folder: str, before: str) -> Iterator[str]:
    try:
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    except OSError:
        return
    for entry in entries:
        if not entry.name[:1].isupper() or "." in entry.name:  # tables, leap seconds, posix/, right/ and localtime
            continue
        if entry.is_dir():
            yield from _zones_in(entry.path, f"{before}{entry.name}/")
        else:
            yield before + entry.name


def _packaged_zones() -> list[str]:
    """Return the zones that a package brings, on a machine that has none itself."""
    for place in sys.path:
        with suppress(OSError, ValueError):
            if text := _text(os.path.join(place, "tzdata", "zones")):  # noqa: PTH118 - pathlib is not loaded here
                return text.split()
    return []


Kind = Callable[[Any, Line, str, str, Mapping[str, str]], Answer]

_KINDS: Mapping[str, Kind] = {
    "file": _files,
    "folder": _folders,
    "format": _formats,
    "columns": _columns,
    "first column": _first_column,
    "profile": _profiles_here,
    "profiles": _profiles_all,
    "own profile": _profiles_own,
    "kept profile": _profiles_kept,
    "provider": _providers,
    "call": _calls,
    "command": _commands,
    "kept call": _kept_calls,
    "way": _ways,
    "setting": _settings,
    "switch": _switches,
    "zone": _zones,
}
"""By what the files say of an option or argument: a kind that is not here has no values that are known."""


# What this machine knows


def _read(path: str) -> Any:
    with open(path, encoding="utf-8") as file:  # noqa: PTH123 - pathlib is not loaded here
        return json.load(file)


def _known_file(name: str) -> str:
    return os.path.join(KNOWN, f"{name}.json")  # noqa: PTH118 - pathlib is not loaded here


def _text(path: str) -> str:
    """Return a file's text, empty where there is none.

    Raises:
        OSError: It cannot be had, or is no file: a pipe would be waited for.
        ValueError: It is no text, or far too long for one that people write.
    """
    try:
        handle = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))
    except (FileNotFoundError, NotADirectoryError):
        return ""
    try:
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            raise OSError
        with open(handle, "rb", closefd=False) as file:
            content = file.read(_LARGEST_FILE + 1)
    finally:
        os.close(handle)
    if len(content) > _LARGEST_FILE:
        raise ValueError
    return content.decode("utf-8-sig")


def _profiles(known: Any, line: Line, environ: Mapping[str, str]) -> list[tuple[str, str]]:
    """Return the profiles that can be used, and the provider of each, as `cdrctl.profiles` has them.

    Names are those that a profile may have: nothing in them means anything to a shell.
    """
    tables = _tables(line, environ)
    if tables is None:
        return []
    owners: dict[str, str] = {}
    for name in tables:
        owners.setdefault(_variable(name), name)
    declared: dict[str, str] = {}
    for variable, provider in environ.items():
        middle = variable.removeprefix("CDRCTL_").removesuffix("_PROVIDER")
        if provider and variable == f"CDRCTL_{middle}_PROVIDER" and _spelt(middle):
            declared[owners.get(middle, middle.lower())] = provider
    found: dict[str, str] = {}
    for name, table in tables.items():
        said = declared.pop(name, None)
        written = table.get("provider", said) if isinstance(table, dict) else None
        if owners[_variable(name)] == name and isinstance(written, str) and said in {None, written}:
            found[name] = written
    found.update(sorted(declared.items()))
    return [one for one in found.items() if _usable(one[0]) and one[1] in known["providers"]]


def _tables(line: Line, environ: Mapping[str, str]) -> dict[str, Any] | None:
    """Return what the configuration file has under `profiles`; None where it cannot be read."""
    import tomllib

    path = line.values.get("--config", [environ.get("CDRCTL_CONFIG") or ""])[-1]
    if not path:
        import platformdirs

        try:
            path = os.path.join(platformdirs.user_config_dir("cdrctl", appauthor=False), "config.toml")  # noqa: PTH118
        except RuntimeError:  # no HOME, and a uid that is in no passwd file
            return {}
    if path.startswith(("~/", "~" + os.sep)):
        home = environ.get("HOME") or environ.get("USERPROFILE")
        if not home:
            return {}
        path = home + path[1:]
    try:
        tables = tomllib.loads(_text(path)).get("profiles", {})
    except (OSError, ValueError, RecursionError):
        return None
    return tables if isinstance(tables, dict) else None


def _provider_of(table: Any) -> str:
    provider = table.get("provider") if isinstance(table, dict) else None
    return provider if isinstance(provider, str) else ""


def _variable(name: str) -> str:
    """Return how the environment spells a profile's name."""
    return "".join(sign if sign.isascii() and sign.isalnum() else "_" for sign in name).upper()


def _spelt(middle: str) -> bool:
    return bool(middle) and middle.isascii() and middle.replace("_", "A").isalnum() and middle == middle.upper()


def _usable(name: str) -> bool:
    """Return whether a profile can have this name."""
    signs = name.isascii() and all(sign.isalnum() or sign in _NAME_SIGNS for sign in name)
    return signs and name[:1].isalnum() and len(name) <= _LONGEST_NAME and _variable(name) != SANDBOX.upper()


def _installed_formats() -> list[str]:
    """Return the formats that other packages bring.

    `importlib.metadata` would say the same, and take longer than everything else together.
    """
    found: dict[str, None] = {}
    for place in dict.fromkeys(sys.path):
        try:
            packages = [one.path for one in os.scandir(place) if one.name.endswith((".dist-info", ".egg-info"))]
        except OSError:
            continue
        for package in packages:
            inside = False
            for text in _entry_points(package).splitlines():
                name, equals, _ = text.partition("=")
                if text.startswith("["):
                    inside = text.strip() == "[cdrctl.writers]"
                elif inside and equals:
                    found.setdefault(name.strip())
    return sorted(found)


def _entry_points(package: str) -> str:
    try:
        return _text(os.path.join(package, "entry_points.txt"))  # noqa: PTH118 - pathlib is not loaded here
    except (OSError, ValueError):
        return ""


# How each shell asks and is told


def _words(environ: Mapping[str, str]) -> list[str]:
    """Return the words that a shell has read, without variables that are set for this command alone."""
    words = environ.get(LINE, "").split(SEPARATOR)
    while len(words) > 1 and "=" in words[0]:
        del words[0]
    return words


def _clean(found: Answer) -> list[Item]:
    """Return the items that can be shown: none whose word would move a cursor, or be two lines."""
    return [
        (word, "".join(sign if sign.isprintable() else " " for sign in about))
        for word, about in found.items
        if word and word.isprintable() and found.kept.isprintable()
    ]


def _for_bash(environ: Mapping[str, str]) -> str:
    """Return one line of what it is and then, word by word, what has to be typed after what there is.

    Bash puts what it is given on the line as it is, and looks for the beginning of a word at every `=` and `:`. It is
    told only the rest of each word, quoted as the place demands, and puts that after what it takes for the beginning.
    The `+` before it keeps a line from being empty, which bash would lose.
    """
    typed = bash_line(environ.get(LINE, ""))
    if typed.redirected:
        return "files\n"
    if typed.broken or len(typed.words) < 2:
        return "words\n"
    found = completed(typed.words, environ)
    begun = typed.words[-1].removeprefix(found.kept)
    rests = [word[len(begun) :] for word, _ in _clean(found) if word.startswith(begun)]
    kind = found.files or ("goes_on" if found.goes_on else "words")
    return "\n".join([kind, *(f"+{_quoted(rest, typed.quote)}" for rest in rests), ""])


def _for_zsh(environ: Mapping[str, str]) -> str:
    """Return one line of what it is, and how long what is kept; then word, what is shown of it, and what it means."""
    found = completed(_words(environ), environ)
    kind = found.files or ("goes_on" if found.goes_on else "words")
    lines = [f"{found.kept}{word}\t{word}\t{about}" for word, about in _clean(found)]
    return "\n".join([f"{kind} {len(found.kept)}", *lines, ""])


def _for_fish(environ: Mapping[str, str]) -> str:
    """Return the same as for zsh, without what is shown: fish shows the word."""
    found = completed(_words(environ), environ)
    lines = [f"{found.kept}{word}\t{about}" for word, about in _clean(found)]
    return "\n".join([f"{found.files or 'words'} {len(found.kept)}", *lines, ""])


_PRINTED: Mapping[str, Callable[[Mapping[str, str]], str]] = {"bash": _for_bash, "zsh": _for_zsh, "fish": _for_fish}


def bash_line(text: str) -> Typed:
    """Return the words of a line of bash, without quotes, and without what only the shell reads: `> file`."""
    words: list[str] = []
    word: list[str] = []
    quote, in_word, redirects, escaped = "", False, False, False
    for sign in text:
        if escaped:
            word.append(sign if not quote or sign in '"\\$`' else f"\\{sign}")
            escaped = False
        elif sign == "\\" and quote != "'":
            escaped = in_word = True
        elif sign == quote:
            quote = ""
        elif quote:
            word.append(sign)
        elif sign in "'\"":
            quote, in_word = sign, True
        elif sign in _BLANKS or sign in "<>":
            if in_word and not redirects and not (sign in "<>" and "".join(word).isdecimal()):
                words.append("".join(word))
            redirects = sign in "<>" or (redirects and not in_word)
            word, in_word = [], False
        elif sign == "&" and redirects and not in_word:
            continue  # of >&
        else:
            word.append(sign)
            in_word = True
    return Typed([*words, "".join(word)], quote, redirects, broken=escaped)


def _quoted(text: str, quote: str) -> str:
    """Return what bash reads as this text at a place within these quotes, or none."""
    if quote == "'":
        return text.replace("'", "'\\''")
    if quote:
        return "".join("\"'!'\"" if sign == "!" else f"\\{sign}" if sign in '"\\$`' else sign for sign in text)
    return "".join(sign if sign.isalnum() or sign in "_./:=,@%+-" else f"\\{sign}" for sign in text)


# For typer's own scripts


def _names(given: Iterable[str], begun: str) -> list[Item] | None:
    """Return the names of commands or options that may stand where one is begun, after those that were given."""
    known = _read(FILE)
    place, used, value_due = known["top"], set(), False
    for word in given:
        if value_due:
            value_due = False
        elif word.startswith("-"):
            at = _named(known, place, word)
            if at is None or known["options"][at]["acts"]:
                return None
            used.add(at)
            value_due = known["options"][at]["takes_value"]
        elif place["commands"]:
            if word not in place["commands"]:
                return None
            place, used = place["commands"][word], set()
    if value_due:
        return None if begun.startswith("-") else []
    if begun.startswith("-"):
        return [one for one in _options(known, place, used) if one[0].startswith(begun)]
    return [(name, one["about"]) for name, one in place["commands"].items() if name.startswith(begun)]


def _bash(items: list[Item], _environ: Mapping[str, str]) -> tuple[str, int]:
    return "\n".join(name for name, _ in items) + "\n", 0


_ZSH = str.maketrans({'"': '""', "'": "''", "$": "\\$", "`": "\\`", ":": "\\\\:"})


def _zsh(items: list[Item], _environ: Mapping[str, str]) -> tuple[str, int]:
    said = "\n".join(f'"{name.translate(_ZSH)}":"{about.translate(_ZSH)}"' for name, about in items)
    return (f"_arguments '*: :(({said}))'\n" if items else "_files\n"), 0


def _fish(items: list[Item], environ: Mapping[str, str]) -> tuple[str, int]:
    action = environ.get("_TYPER_COMPLETE_FISH_ACTION", "")
    if action == "is-args":  # asks by the exit code whether there is anything
        return "", 0 if items else 1
    return ("\n".join(f"{name}\t{about}" for name, about in items) if action == "get-args" else "") + "\n", 0


_ANSWERS: dict[str, Any] = {"bash": _bash, "zsh": _zsh, "fish": _fish}
