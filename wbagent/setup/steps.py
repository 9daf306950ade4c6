"""What is left to do when the configuration is written: which commands, in which order, on which kind of host."""

from __future__ import annotations

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


def steps(answers: Answers) -> tuple[Step, ...]:
    """In order; `wbagent check` and `verify` come last, when they find everything running."""
    server = answers.get("role") in {Role.SERVER, Role.BOTH}
    image = answers.get("image") or ""
    found = [
        Step("Read the configuration as the agent will", ("wbagent", "config", "check")),
        # Not a reload: systemd hands credentials over when a unit starts.
        Step("Let the agent begin with it", ("systemctl", "restart", "wbagent.service")),
    ]
    if server:
        found += [
            Step(f"Fetch {image} unless it is here", ("sh", "-c", _PULL, "sh", image), shown=f"docker pull {image}"),
            Step(
                "Start the server, now and at each boot (migrations can take minutes)",
                ("systemctl", "enable", "--now", "wandb-local.service"),
            ),
        ]
        if (answers.get("bucket") or "").startswith("s3://"):
            cors = ("wbagent", "bucket", "cors", "--yes")
            found.append(Step("Let pages of that address use the bucket (CORS)", cors, vital=False))
    found.append(Step("Make the first backup", ("wbagent", "backup", "run"), vital=False))
    found.append(Step("Measure everything that W&B's guide asks for", ("wbagent", "check"), vital=False))
    if server:
        found.append(Step("Use the server as its users do", ("wbagent", "verify"), vital=False))
    return tuple(found)
