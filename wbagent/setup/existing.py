"""What is configured on this host already, which `wbagent init` never overwrites."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from wbagent.config.credstore import stored_credentials
from wbagent.config.layers import file_layer
from wbagent.config.sources import configuration_files
from wbagent.errors import EX_CANTCREAT, WbagentError


class ExistsError(WbagentError):
    """There is a configuration already, or the file that was to be made."""

    exit_status = EX_CANTCREAT


# Which keys decide what a host does; a change of these by hand is what a person is shown.
_CHANGE: Final = (
    "to change it: an editor, then wbagent config check && systemctl restart wbagent; a secret: systemd-creds encrypt"
    " (wbagent.toml(5), Secrets). For a new one beside it: wbagent init --into FILE"
)


@dataclass(frozen=True, slots=True)
class Existing:
    """Sections that files set ("[server] in /etc/wbagent.toml"), and names of credentials."""

    sections: tuple[str, ...]
    credentials: tuple[str, ...]

    def refuse(self) -> None:
        """Raise ExistsError if there is any."""
        found = [*self.sections, *(f"credential {name}" for name in self.credentials)]
        if found:
            raise ExistsError(f"this host is configured already, and that stays: {', '.join(found)}", hint=_CHANGE)


def existing(path: Path) -> Existing:
    """Look; raises AccessError, and ConfigError for a file that cannot be read as TOML."""
    sections = [
        f"[{section}] in {file}"
        for file in configuration_files(path)
        if file.exists()
        for section in file_layer(file).tree
    ]
    return Existing(tuple(sections), tuple(each.name for each in stored_credentials()))
