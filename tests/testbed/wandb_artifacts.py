"""Artifacts and sweeps of the small W&B API: made, committed, found by alias, downloaded; one run, and the end."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

_WHEN: Final = "2026-01-01T00:00:00"
_SWEEP: Final = "sweep1"
Asked = dict[str, Any]


@dataclass
class _Artifact:
    number: str
    name: str
    kind: str
    digest: str
    aliases: list[str]

    @property
    def manifest(self) -> str:
        """The name that its manifest is stored under."""
        return f"manifest-{self.number}"


class Artifacts:
    """`link` gives the address of what is stored under a name, `stored` the content; `project` is theirs."""

    def __init__(self, link: Callable[[str], str], stored: Callable[[str], bytes], project: dict[str, Any]) -> None:
        self._link, self._stored, self._project = link, stored, project
        self._all: dict[str, _Artifact] = {}
        self._began = False
        self.operations: dict[str, Callable[[Asked], dict[str, Any]]] = {
            "ArtifactType": lambda _: {"project": {"artifact": None}},
            "CreateArtifact": self._create,
            "CreateArtifactManifest": lambda asked: {"createArtifactManifest": self._manifest(asked["artifactID"])},
            "UpdateArtifactManifest": lambda asked: {
                "updateArtifactManifest": self._manifest(asked["artifactManifestID"].removeprefix("manifest-"))
            },
            "CreateArtifactFiles": self._create_files,
            "CommitArtifact": lambda asked: {"commitArtifact": {"artifact": {"id": asked["artifactID"]}}},
            "ArtifactMembershipByName": self._find,
            "UseArtifact": lambda asked: {"useArtifact": {"artifact": self._shown(self._all[asked["artifactID"]])}},
            "FetchArtifactManifest": self._current_manifest,
            "GetArtifactMembershipFileUrls": self._list_files,
        }
        # A client needs 11 s for these, most of which it sleeps.
        self.sweeps: dict[str, Callable[[Asked], dict[str, Any]]] = {
            "UpsertSweep": lambda _: {"upsertSweep": {"sweep": {"name": _SWEEP, "project": project}}},
            "CreateAgent": lambda _: {"createAgent": {"agent": {"id": "agent1"}}},
            "Heartbeat": self._heartbeat,
        }

    def _create(self, asked: Asked) -> dict[str, Any]:
        given = asked["input"]
        aliases = [alias["alias"] for alias in given["aliases"]]
        number = str(len(self._all))
        name, kind = given["artifactCollectionName"], given["artifactTypeName"]
        self._all[number] = _Artifact(number, name, kind, given["digest"], aliases)
        sequence = {"id": number, "latestArtifact": None}
        return {"createArtifact": {"artifact": {"id": number, "state": "PENDING", "artifactSequence": sequence}}}

    def _manifest(self, number: str) -> dict[str, Any]:
        name = self._all[number].manifest
        file = {"id": name, "uploadUrl": self._link(name), "uploadHeaders": []}
        return {"artifactManifest": {"id": name, "file": file}}

    def _create_files(self, asked: Asked) -> dict[str, Any]:
        nodes = [
            {
                "storagePath": file["name"],
                "uploadUrl": self._link(_key(file["md5"])),
                "uploadHeaders": [],
                "artifact": {"id": file["artifactID"]},
            }
            for file in asked["input"]["artifactFiles"]
        ]
        return {"createArtifactFiles": {"files": {"edges": [{"node": node} for node in nodes]}}}

    def _find(self, asked: Asked) -> dict[str, Any]:
        name, _, alias = asked["name"].partition(":")
        found = next(one for one in self._all.values() if one.name == name and alias in one.aliases)
        membership = {
            "__typename": "ArtifactCollectionMembership",
            "id": found.number,
            "versionIndex": 0,
            "createdAt": _WHEN,
            "aliases": [{"__typename": "ArtifactAlias", "id": each, "alias": each} for each in found.aliases],
            "artifactCollection": self._sequence(found),
            "artifact": self._shown(found),
        }
        return {"project": {"artifactCollectionMembership": membership}}

    def _sequence(self, one: _Artifact) -> dict[str, Any]:
        return {"__typename": "ArtifactSequence", "name": one.name, "project": self._project}

    def _shown(self, one: _Artifact) -> dict[str, Any]:
        return {
            "__typename": "Artifact",
            "id": one.number,
            "artifactSequence": self._sequence(one),
            "versionIndex": 0,
            "artifactType": {"name": one.kind},
            "description": None,
            "metadata": "{}",
            "ttlDurationSeconds": -1,
            "ttlIsInherited": True,
            "tags": [],
            "historyStep": None,
            "state": "COMMITTED",
            "size": 1,
            "digest": one.digest,
            "commitHash": "0",
            "fileCount": 1,
            "createdAt": _WHEN,
            "updatedAt": None,
            "aliases": [],
        }

    def _current_manifest(self, asked: Asked) -> dict[str, Any]:
        name = self._all[asked["id"]].manifest
        return {"artifact": {"currentManifest": {"id": name, "file": {"id": name, "directUrl": self._link(name)}}}}

    def _list_files(self, asked: Asked) -> dict[str, Any]:
        """What is in the manifest, references included."""
        found = next(one for one in self._all.values() if one.name == asked["collection"])
        contents = json.loads(self._stored(found.manifest))["contents"]
        nodes = [
            {"__typename": "File", "name": name, "directUrl": self._link(_key(entry["digest"]))}
            for name, entry in contents.items()
        ]
        page = {"__typename": "PageInfo", "endCursor": None, "hasNextPage": False}
        files = {"pageInfo": page, "edges": [{"node": node} for node in nodes]}
        collection = {"__typename": "ArtifactSequence", "artifactMembership": {"files": files}}
        return {"project": {"artifactCollection": collection}}

    def _heartbeat(self, asked: Asked) -> dict[str, Any]:
        """One run of the nine, as the agent asks again only every 5 s; then the sweep is at its end."""
        commands: list[dict[str, Any]] = []
        if not self._began:
            commands = [{"type": "run", "run_id": "of-the-sweep", "args": {"x": {"value": 0.1}, "y": {"value": 2}}}]
        elif asked["runState"] == "{}":
            commands = [{"type": "exit"}]
        self._began = True
        return {"agentHeartbeat": {"agent": {"id": "agent1"}, "commands": json.dumps(commands)}}


def _key(digest: str) -> str:
    """An MD5 in Base64, as the name of a file."""
    return digest.replace("/", "_")
