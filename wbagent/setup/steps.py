"""What is left to do when the configuration is written: which commands, in which order, on which kind of host."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Final

from wbagent.setup.questions import Answers, Role

# A registry is not asked for what is there: the host may have none.
_PULL: Final = 'docker image inspect --format "{{.Id}} is here" "$1" 2>/dev/null || exec docker pull "$1"'


@dataclass(frozen=True, slots=True)
class Step:
    """A command, and what it is for. `vital`: what comes after it makes no sense when it fails.

    `shown`: how a person types it, where that is not the command itself.
    """

    asks: str
    command: tuple[str, ...]
    vital: bool = True
    shown: str = ""


def steps(answers: Answers, missing: Collection[str] = ()) -> tuple[Step, ...]:
    """In order; `wbagent check` and `verify` come last, when they find everything running.

    `missing`: the answers ("bucket", "destination") whose bucket is still to be made.
    """
    server = answers.get("role") in {Role.SERVER, Role.BOTH}
    image = answers.get("image") or ""
    found = [
        Step("Read the configuration as the agent will", ("wbagent", "config", "check")),
        # Not a reload: systemd hands credentials over when a unit starts.
        Step("Let the agent begin with it", ("systemctl", "restart", "wbagent.service")),
    ]
    if server and "bucket" in missing:
        # With its CORS rule.
        found.append(Step("Make the server's bucket", ("wbagent", "bucket", "create", "--yes")))
    if server:
        found += [
            Step(f"Fetch {image} unless it is here", ("sh", "-c", _PULL, "sh", image), shown=f"docker pull {image}"),
            Step(
                "Start the server, now and at each boot (migrations can take minutes)",
                ("systemctl", "enable", "--now", "wandb-local.service"),
            ),
        ]
        if (answers.get("bucket") or "").startswith("s3://") and "bucket" not in missing:
            cors = ("wbagent", "bucket", "cors", "--yes")
            found.append(Step("Let pages of that address use the bucket (CORS)", cors, vital=False))
    if "destination" in missing:
        made = ("wbagent", "bucket", "create", "--backup", "--yes")
        found.append(Step("Make the bucket for backups", made, vital=False))
    found.append(Step("Make the first backup", ("wbagent", "backup", "run"), vital=False))
    found.append(Step("Measure everything that W&B's guide asks for", ("wbagent", "check"), vital=False))
    if server:
        found.append(Step("Use the server as its users do", ("wbagent", "verify"), vital=False))
    return tuple(found)
