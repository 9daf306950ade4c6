"""What the TAG of an upgrade means: the full name of an image, and how two releases stand to each other."""

from __future__ import annotations

import re
from typing import Final

from pydantic import TypeAdapter, ValidationError

from wbagent.config.server import PinnedImage
from wbagent.errors import UsageError

Version = tuple[int, int, int]

_VERSION: Final = re.compile(r"v?(\d+)\.(\d+)(?:\.(\d+))?")
_DIGEST: Final = re.compile(r"sha256:[0-9a-f]{64}")
# W&B's release notes take these two back.
NEVER: Final = frozenset({(0, 78, 0), (0, 78, 1)})


def target(configured: str, tag: str) -> str:
    """The full name of the image that `tag` means beside the configured one; raises UsageError.

    `tag` may be a tag ("0.84.0"), a digest ("sha256:…"), or a full name with either, when the repository changes too.
    """
    if _DIGEST.fullmatch(tag):
        name = f"{repository(configured)}@{tag}"
    elif "/" in tag or ":" in tag.partition("@")[0]:
        name = tag
    else:
        name = f"{repository(configured)}:{tag}"
    try:
        return TypeAdapter[str](PinnedImage).validate_python(name)
    except ValidationError as error:
        why = error.errors()[0]["msg"].removeprefix("Value error, ")
        raise UsageError(f"{tag}: {why}", hint="wbagent server upgrade 0.84.0") from None


def repository(image: str) -> str:
    """The name without tag and digest; a registry's port is no tag."""
    name = image.partition("@")[0]
    path, slash, last = name.rpartition("/")
    return f"{path}{slash}{last.partition(':')[0]}"


def tag_of(image: str) -> str:
    """The tag, or "" where a digest alone pins it."""
    return image.partition("@")[0].rpartition("/")[2].partition(":")[2]


def version_of(image: str) -> Version | None:
    """The release that the tag names; None when it names none, as a digest or a word of your own."""
    found = _VERSION.match(tag_of(image))
    return (int(found[1]), int(found[2]), int(found[3] or 0)) if found else None


def judge(old: str, new: str) -> tuple[str, ...]:
    """Warnings about going from `old` to `new`; raises UsageError where it must not be done.

    Invariant: nothing that is known to be broken or to be older than what has migrated the database passes. Where a
    name tells no version nothing is known, and a warning says so.
    """
    have, want = version_of(old), version_of(new)
    if want in NEVER:
        raise UsageError(
            f"{new}: W&B says never to run 0.78.0 and 0.78.1", hint="take a later release, such as 0.79.0 or newer"
        )
    if have is None or want is None:
        unknown = old if have is None else new
        return (f"{unknown} tells no version, so nothing is known about the order of {old} and {new}",)
    if want < have:
        raise UsageError(
            f"{new} is older than {old}, whose migrations have changed the database and do not go back",
            hint="the last upgrade is undone by: wbagent server upgrade --undo  (its backup is restored with"
            " --restore-database)",
        )
    if want[0] != have[0]:
        return (f"{old} -> {new} changes the major version: read W&B's release notes first",)
    if want[1] - have[1] > 1:
        between = f"{have[0]}.{have[1] + 1}" + (f" to {have[0]}.{want[1] - 1}" if want[1] - have[1] > 2 else "")
        return (f"{old} -> {new} skips {between}: all their migrations run at once, which takes longer",)
    return ()


def same_image(one: str, other: str) -> bool:
    """Whether two names mean the same image; Docker and Podman write the default registry out or leave it out."""
    return _short(one) == _short(other)


def _short(name: str) -> str:
    for prefix in ("docker.io/", "index.docker.io/", "library/"):
        name = name.removeprefix(prefix)
    return name
