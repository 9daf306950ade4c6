"""What is configured on this host already, which `wbagent init` never overwrites."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from wbagent.config.credstore import key_of, stored_credentials, unseal
from wbagent.config.layers import KeyPath, file_layer
from wbagent.config.sources import configuration_files
from wbagent.errors import EX_CANTCREAT, WbagentError
from wbagent.setup.questions import QUESTIONS


class ExistsError(WbagentError):
    """There is a configuration already, or the file that was to be made."""

    exit_status = EX_CANTCREAT


_CHANGE: Final = (
    "to change it: an editor, then wbagent config check && systemctl restart wbagent; a secret: systemd-creds encrypt"
    " (wbagent.toml(5), Secrets). For a new one beside it: wbagent init --into FILE"
)


@dataclass(frozen=True, slots=True)
class Existing:
    """Sections that files set ("[server] in /etc/wbagent.toml"), and the stored credentials by their keys."""

    sections: tuple[str, ...]
    credentials: Mapping[KeyPath, Path]

    def refuse(self) -> None:
        """Raise ExistsError if a file sets anything. A credential alone is an answer that is there already."""
        if self.sections:
            raise ExistsError(
                f"this host is configured already, and that stays: {', '.join(self.sections)}", hint=_CHANGE
            )

    def answers(self) -> dict[str, str]:
        """What credentials answer, by the names of the questions. Raises ConfigError, OSError."""
        return {each.name: unseal(self.credentials[each.key]) for each in QUESTIONS if each.key in self.credentials}


def existing(path: Path) -> Existing:
    """Look; raises AccessError, and ConfigError for a file that cannot be read as TOML."""
    sections = [
        f"[{section}] in {file}"
        for file in configuration_files(path)
        if file.exists()
        for section in file_layer(file).tree
    ]
    return Existing(tuple(sections), {key_of(each): each for each in stored_credentials()})
