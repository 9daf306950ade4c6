"""systemd over D-Bus: reads units' properties, starts units, and hears of their changes without a thread.

pystemd holds the GIL during every call and while it waits, so nothing here ever waits on the bus: its descriptor goes
into the event loop, and `process()` takes what has come.
"""

from __future__ import annotations

import importlib.util
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final, Self

from wbagent.errors import AccessError, BusError
from wbagent.held_signals import held_signals

_SYSTEMD: Final = b"org.freedesktop.systemd1"
_MANAGER_PATH: Final = b"/org/freedesktop/systemd1"
_MANAGER: Final = b"org.freedesktop.systemd1.Manager"
_PROPERTIES: Final = b"org.freedesktop.DBus.Properties"
_UNIT: Final = "org.freedesktop.systemd1.Unit"
_OF_TYPE: Final = {"service": "org.freedesktop.systemd1.Service", "socket": "org.freedesktop.systemd1.Socket"}
_TIMEDATE: Final = b"org.freedesktop.timedate1"
_TIMEDATE_PATH: Final = b"/org/freedesktop/timedate1"

Properties = Mapping[str, Any]
# What one thread has put among the modules another one shall not take away.
_importing = threading.Lock()


class Verb(StrEnum):
    """What a unit is to do, as systemctl calls it."""

    START = "start"
    STOP = "stop"
    RESTART = "restart"
    RELOAD = "reload"


@dataclass(frozen=True, slots=True)
class Clock:
    """What systemd-timedated says: whether the kernel's clock is synchronised, and whether a time service is on."""

    synchronised: bool
    service: bool


class Bus:
    """A connection to PID 1. Every method raises BusError; AccessError where polkit refuses."""

    def __init__(self) -> None:
        dbuslib, dbusexc = _pystemd()
        self._lib = dbuslib
        self._dbus = dbuslib.DBus()
        self._denied = (dbusexc.DBusAccessDeniedError, dbusexc.DBusInteractiveAuthorizationRequiredError)
        self._failed = dbusexc.DBusBaseError
        # pystemd hands the callback to libsystemd without a reference of its own.
        self._callbacks: list[Callable[..., None]] = []
        self._call_in(self._dbus.open, "connect to the system bus")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Hang up."""
        self._dbus.close()

    def properties(self, unit: str) -> Properties:
        """All properties of a unit (loaded or not) and, for services and sockets, of these."""
        path = self._path(unit)
        found = self._get_all(path, _UNIT)
        if interface := _OF_TYPE.get(unit.rpartition(".")[2]):
            found |= self._get_all(path, interface)
        return _Named(found)

    def failed(self, units: Sequence[str]) -> tuple[str, ...]:
        """Those of these units that have failed, by one call."""
        values = [[b"failed"], [unit.encode() for unit in units]]
        arguments = self._lib.apply_signature(b"asas", values)
        found = self._call(_MANAGER_PATH, _MANAGER, b"ListUnitsByPatterns", arguments, "list failed units")
        return tuple(_text(unit[0]) for unit in found)

    def clock(self) -> Clock:
        """Whether the clock is synchronised; starts systemd-timedated where it does not run, which ends by itself."""
        found = _Named(self._get_all(_TIMEDATE_PATH, _TIMEDATE.decode(), of=_TIMEDATE))
        return Clock(bool(found.get("NTPSynchronized")), bool(found.get("NTP")))

    def start(self, unit: str) -> str:
        """Enqueue a start job; the job's object path. A unit that is starting already keeps its job."""
        return self._manager(b"StartUnit", b"ss", [unit.encode(), b"replace"], f"start {unit}")

    def job(self, verb: Verb, unit: str) -> int:
        """Enqueue a job for a unit; its number, which the unit's property Job shows until it has ended."""
        method = {Verb.START: b"StartUnit", Verb.STOP: b"StopUnit", Verb.RESTART: b"RestartUnit"}.get(verb)
        path = self._manager(method or b"ReloadUnit", b"ss", [unit.encode(), b"replace"], f"{verb} {unit}")
        return int(path.rpartition("/")[2])

    def reset_failed(self, unit: str) -> None:
        """Set a unit's count of restarts back to 0."""
        self._manager(b"ResetFailedUnit", b"s", [unit.encode()], f"reset {unit}")

    def subscribe(self, units: tuple[str, ...], changed: Callable[[str, Properties], None]) -> None:
        """Have `changed(unit, changed properties)` called, from within `process()`, whenever one of them changes."""
        self._manager(b"Subscribe", b"", [], "subscribe to changes")
        for unit in units:
            callback = _Signal(unit, changed)
            self._callbacks.append(callback)
            self._dbus.match_signal(_SYSTEMD, self._path(unit), _PROPERTIES, b"PropertiesChanged", callback)

    def fileno(self) -> int:
        """The descriptor to watch for readability."""
        return int(self._dbus.get_fd())

    def process(self) -> None:
        """Take in everything that has arrived, calling what subscribed."""
        # One empty answer may be a step of the protocol itself; after a second one nothing is left.
        empty = 0
        while empty < 2:
            message = self._call_in(self._dbus.process, "read from the system bus")
            empty = empty + 1 if message.is_empty() else 0

    def _path(self, unit: str) -> bytes:
        encoded: bytes = self._lib.path_encode(_MANAGER_PATH + b"/unit", unit.encode())
        return encoded

    def _get_all(self, path: bytes, interface: str, of: bytes = _SYSTEMD) -> dict[bytes, Any]:
        arguments = self._lib.apply_signature(b"s", [interface.encode()])
        doing = f"read the properties of {interface}"
        return dict(self._call(path, _PROPERTIES, b"GetAll", arguments, doing, of))

    def _manager(self, method: bytes, signature: bytes, values: list[bytes], doing: str) -> str:
        arguments = self._lib.apply_signature(signature, values)
        body = self._call(_MANAGER_PATH, _MANAGER, method, arguments, doing)
        return body.decode() if isinstance(body, bytes) else ""

    def _call(
        self, path: bytes, interface: bytes, method: bytes, arguments: Any, doing: str, of: bytes = _SYSTEMD
    ) -> Any:
        return self._call_in(lambda: self._dbus.call_method(of, path, interface, method, arguments).body, doing)

    def _call_in(self, call: Callable[[], Any], doing: str) -> Any:
        # What a signal's handler raises inside a callback of libsystemd comes out of it as SystemError, with a
        # traceback: it is raised after the call instead. A handler cannot run within the call anyway.
        try:
            with held_signals():
                return call()
        except self._denied:
            raise AccessError(
                f"systemd does not let this user {doing}", hint="run the command as root (sudo)"
            ) from None
        except self._failed as error:
            raise BusError(f"cannot {doing}: {error}", hint="systemctl status dbus.service") from None


class _Named(Mapping[str, Any]):
    """Properties as text, each when it is asked for: of the hundreds that a unit has, a handful ever is."""

    def __init__(self, raw: Mapping[bytes, Any]) -> None:
        self._raw = raw

    def __getitem__(self, name: str) -> Any:
        return _text(self._raw[name.encode()])

    def __iter__(self) -> Iterator[str]:
        return (name.decode() for name in self._raw)

    def __len__(self) -> int:
        return len(self._raw)


class _Signal:
    """One match: pystemd sets an attribute on it and calls it with keywords."""

    metadata: dict[str, Any]

    def __init__(self, unit: str, changed: Callable[[str, Properties], None]) -> None:
        self._unit = unit
        self._changed = changed

    def __call__(self, message: Any, error: object, userdata: object) -> None:
        message.process_reply(False)
        # PropertiesChanged(interface, changed, invalidated)
        body = message.body
        if isinstance(body, list | tuple) and len(body) > 1:
            self._changed(self._unit, _text(body[1]))


def _pystemd() -> tuple[Any, Any]:
    """pystemd's modules dbuslib and dbusexc, without what the package loads beside them: lxml, for 5 MB.

    Only when a bus is opened: pystemd is absent where only unit tests run.
    """
    with _importing:
        spec = importlib.util.find_spec("pystemd")
        if spec is None:
            raise BusError("python3-pystemd is not installed", hint="apt install python3-pystemd")
        # The package as a place to find its modules in, whose own code is not run.
        sys.modules["pystemd"] = importlib.util.module_from_spec(spec)
        try:
            return importlib.import_module("pystemd.dbuslib"), importlib.import_module("pystemd.dbusexc")
        finally:
            del sys.modules["pystemd"]


def _text(value: Any) -> Any:
    """The same value with every byte string as text."""
    if isinstance(value, bytes):
        return value.decode(errors="replace")
    if isinstance(value, dict):
        return {_text(name): _text(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_text(item) for item in value]
    return value
