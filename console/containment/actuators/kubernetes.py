"""Kubernetes: scales workloads to zero, suspends jobs, denies pods their egress, and takes it back.

HTTP API of Kubernetes 1.24 and later: apps/v1 (subresource `scale`), batch/v1, networking.k8s.io/v1, v1 (pods). A pod
that is told to end has 30 s by default, the whole budget of a halt: so pods are deleted with a grace of their own. A
node that is cut off keeps its processes running; its pods stay listed, and what is listed counts as running.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import Annotated, Any, Literal, NamedTuple
from urllib.parse import quote

from msgspec import Meta

from console.containment.actuator import Answer, Call, Declined, Reading
from console.containment.actuators import template
from console.containment.actuators.api import Api, Watched, within
from console.containment.actuators.client import Reply, Request, field
from console.containment.actuators.options import Setting

BEFORE = "warroom/replicas"
"""The annotation of a workload that says how many replicas it had."""
MOST_JOBS = 20
"""Jobs of one CronJob that run at a time."""
_NAME = re.compile(r"[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?")
_METADATA = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1,application/json"
_MERGE = {"Content-Type": "application/merge-patch+json", "Accept": "application/json"}
_APPLY = {"Content-Type": "application/apply-patch+yaml", "Accept": "application/json"}
_JSON = {"Content-Type": "application/json", "Accept": "application/json"}

Kind = Literal["deployment", "statefulset", "replicaset", "cronjob", "job", "egress"]
_KINDS: dict[str, str] = {
    "deployment": "apis/apps/v1",
    "statefulset": "apis/apps/v1",
    "replicaset": "apis/apps/v1",
    "cronjob": "apis/batch/v1",
    "job": "apis/batch/v1",
    "egress": "apis/networking.k8s.io/v1",
}
Label = Annotated[str, Meta(pattern="^([a-z0-9.-]{1,253}/)?[A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?$")]
Namespace = Annotated[str, Meta(pattern="^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$")]


class Options(Watched, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`kind`: of targets that do not say it, as `cronjob/nightly` does. `grace_seconds`: what pods have to end.

    `replicas`: how many a workload gets back that nothing else says it of. `label`: by which `egress/NAME` finds pods.
    """

    namespace: Namespace = "default"
    kind: Kind = "deployment"
    grace_seconds: Annotated[int, Meta(ge=0, le=30)] = 5
    replicas: Annotated[int, Meta(ge=1, le=10_000)] | None = None
    label: Label = "app"


class Pods(NamedTuple):
    """How many pods are listed that have not ended, and of how many of them the time to end is not over yet."""

    listed: int
    ending: int

    @property
    def reading(self) -> Reading:
        """What they come to: within their time nobody can say whether they still act."""
        if self.ending == self.listed:
            return Reading("unknown", f"{self.listed} pods are told to end, and have their time for it.")
        return Reading("running", f"{self.listed} pods are still there.")


class Actuator(Api):
    """See `Options`."""

    patience = 5.0

    def __init__(self, options: Options, setting: Setting) -> None:
        super().__init__(options, setting)
        self._options = options

    def requests(self, call: Call) -> list[Request]:
        """Return what is sent first; what follows from the answers is in `apply`."""
        kind, name = self._target(call)
        lifts = self.lifts(call)
        match kind:
            case "egress":
                return [self._allow(name) if lifts else self._deny(call, name)]
            case "cronjob" | "job":
                return [self._suspend(kind, name, not lifts)]
            case _ if lifts:
                return [self._scale(kind, name, f"<{BEFORE}>")]
            case _:
                return [self._scale(kind, name, 0), self._delete_pods("<its pods>")]

    async def apply(self, call: Call) -> Answer:
        """Tell the cluster; pods, and the jobs of a CronJob, too."""
        kind, name = self._target(call)
        async with within(call):
            match kind:
                case "egress":
                    lifts = self.lifts(call)
                    await self._send(
                        call, self.requests(call)[0], (200, 201, 202, 404) if lifts else (200, 201)
                    )
                    return Answer(False, "The policy is gone." if lifts else "The policy is there.")
                case "cronjob" | "job":
                    return await self._apply_suspend(call, kind, name)
                case _ if self.lifts(call):
                    return await self._apply_up(call, kind, name)
                case _:
                    return await self._apply_down(call, kind, name)

    async def read(self, call: Call) -> Reading:
        """See what is wanted and what is there."""
        kind, name = self._target(call)
        match kind:
            case "egress":
                return await self._read_policy(call, name)
            case "cronjob":
                return await self._read_cronjob(call, name)
            case "job":
                return await self._read_job(call, name)
            case _:
                return await self._read_workload(call, kind, name)

    # Workloads.

    async def _apply_down(self, call: Call, kind: str, name: str) -> Answer:
        scale = (await self._get(call, f"{self._path(kind, name)}/scale")).value
        had, selector = field(scale, "spec.replicas"), field(scale, "status.selector")
        await self._send(call, self._scale(kind, name, 0))
        notes = [f"It had {had or 0} replicas."]
        # Without a selector all pods of the namespace would be meant.
        if isinstance(selector, str) and selector.strip():
            await self._send(call, self._delete_pods(selector), (200, 202))
        else:
            notes.append("It names no pods, which end in their own time.")
        if isinstance(had, int) and had > 0:
            mark = {"metadata": {"annotations": {BEFORE: str(had), "warroom/order": call.order}}}
            try:
                await self._send(call, Request("PATCH", self._managed(kind, name), _MERGE, json.dumps(mark)))
            except Declined:
                notes.append("That could not be noted at the workload.")
        return Answer(False, " ".join(notes))

    async def _apply_up(self, call: Call, kind: str, name: str) -> Answer:
        wanted: Any = call.args.get("replicas", "")
        if not wanted:
            found = (await self._get(call, self._path(kind, name))).value
            marks = field(found, "metadata.annotations")
            wanted = marks.get(BEFORE, "") if isinstance(marks, dict) else ""
        if not wanted and self._options.replicas is not None:
            wanted = str(self._options.replicas)
        if not (isinstance(wanted, str) and re.fullmatch("[0-9]{1,5}", wanted) and int(wanted) > 0):
            raise Declined("Nothing says how many replicas it had: set `replicas`, or give it with the verb.")
        await self._send(call, self._scale(kind, name, int(wanted)))
        return Answer(False, f"It is to have {int(wanted)} replicas.")

    async def _read_workload(self, call: Call, kind: str, name: str) -> Reading:
        scale = (await self._get(call, f"{self._path(kind, name)}/scale")).value
        # A wanted number of 0 is left out by the API; that of `status` never is.
        wanted, there = field(scale, "spec.replicas") or 0, field(scale, "status.replicas")
        selector = field(scale, "status.selector")
        if not (
            isinstance(wanted, int) and isinstance(there, int) and isinstance(selector, str) and selector
        ):
            return Reading("unknown", "The answer does not say how many replicas there are.")
        pods = await self._pods(call, selector)
        if pods is None:
            return Reading("unknown", "The answer does not say which pods there are.")
        if self.lifts(call):
            state: Literal["running", "unknown"] = (
                "running" if wanted and there and pods.listed else "unknown"
            )
            return Reading(
                state, f"{wanted} replicas are wanted, {there} are there, {pods.listed} pods listed."
            )
        if wanted:
            return Reading("running", f"{wanted} replicas are wanted: somebody scaled it up, or nobody down.")
        if pods.listed:
            return pods.reading
        if there:
            return Reading("running", f"{there} replicas are still there.")
        return Reading("stopped", "There are 0 replicas and no pods.")

    def _scale(self, kind: str, name: str, replicas: object) -> Request:
        body = json.dumps({"spec": {"replicas": replicas}})
        return Request("PATCH", f"{self._path(kind, name)}/scale?fieldManager=warroom", _MERGE, body)

    def _delete_pods(self, selector: str) -> Request:
        grace = {
            "kind": "DeleteOptions",
            "apiVersion": "v1",
            "gracePeriodSeconds": self._options.grace_seconds,
        }
        return Request("DELETE", self._pods_path(selector), _JSON, json.dumps(grace))

    async def _pods(self, call: Call, selector: str) -> Pods | None:
        """See which pods have not ended; None: the answer does not say."""
        alive = quote("status.phase!=Succeeded,status.phase!=Failed", safe="")
        path = f"{self._pods_path(selector)}&fieldSelector={alive}&limit=50"
        reply = await self.client.send(call, Request("GET", path, {"Accept": _METADATA}), (200,))
        found = reply.value
        items = found.get("items") if isinstance(found, dict) else None
        if not isinstance(items, list):
            return None
        more = field(found, "metadata.remainingItemCount")
        now = _seconds(reply.headers.get("Date", ""), parsedate_to_datetime)
        ends = [_seconds(field(each, "metadata.deletionTimestamp"), datetime.fromisoformat) for each in items]
        return Pods(len(items) + (more if isinstance(more, int) else 0), sum(0 < now < end for end in ends))

    # Jobs.

    async def _apply_suspend(self, call: Call, kind: str, name: str) -> Answer:
        suspend = not self.lifts(call)
        found = (await self._send(call, self._suspend(kind, name, suspend))).value
        jobs = _active(found) if kind == "cronjob" else []
        for job in jobs[:MOST_JOBS]:
            await self._send(call, self._suspend("job", job, suspend), (200, 404))
        return Answer(False, f"With {len(jobs)} of its jobs." if jobs else "It took it.")

    async def _read_cronjob(self, call: Call, name: str) -> Reading:
        found = (await self._get(call, self._path("cronjob", name))).value
        jobs = _active(found)
        if not isinstance(field(found, "spec"), dict) or len(jobs) > MOST_JOBS:
            return Reading(
                "unknown", f"The answer does not say how it is, or it has more than {MOST_JOBS} jobs."
            )
        if field(found, "spec.suspend") is not True:
            return Reading("running", "It is not suspended.")
        for job in jobs:
            reading = await self._read_job(call, job)
            if reading.observed != "stopped":
                return Reading(reading.observed, f"It is suspended; of its job {job[:80]}: {reading.note}")
        return Reading("stopped", f"It is suspended, and none of its jobs runs ({len(jobs)}).")

    async def _read_job(self, call: Call, name: str) -> Reading:
        found = (await self._get(call, self._path("job", name))).value
        if not isinstance(field(found, "spec"), dict):
            return Reading("unknown", "The answer does not say how it is.")
        pods = await self._pods(call, f"job-name={name}")
        if pods is None:
            return Reading("unknown", "The answer does not say which pods there are.")
        conditions = field(found, "status.conditions")
        ended = isinstance(conditions, list) and any(
            field(each, "type") in ("Complete", "Failed") and field(each, "status") == "True"
            for each in conditions
        )
        if field(found, "spec.suspend") is not True and not ended:
            return Reading("running", "It is not suspended.")
        if pods.listed:
            return pods.reading
        if field(found, "status.active"):
            return Reading("running", "It has active pods.")
        return Reading("stopped", "It has ended." if ended else "It is suspended, and has no pods.")

    def _suspend(self, kind: str, name: str, suspend: bool) -> Request:
        return Request("PATCH", self._managed(kind, name), _MERGE, json.dumps({"spec": {"suspend": suspend}}))

    # Egress.

    async def _read_policy(self, call: Call, name: str) -> Reading:
        reply = await self.client.send(call, self._request("GET", self._policy(name)), (200, 404))
        if reply.status == 404:
            return Reading("running", "There is no such policy.")
        spec = field(reply.value, "spec")
        if not isinstance(spec, dict):
            return Reading("unknown", "The answer does not say what the policy denies.")
        types = spec.get("policyTypes")
        if (
            not (isinstance(types, list) and "Egress" in types)
            or spec.get("egress")
            or spec.get("podSelector") != {"matchLabels": {self._options.label: name}}
        ):
            return Reading(
                "running", "Somebody changed the policy: it does not deny all egress of these pods."
            )
        if self._canary is None:
            return Reading(
                "unknown", "The policy is there. Whether the network keeps to it shows only a canary."
            )
        return Reading("stopped", "The policy denies all egress of these pods.")

    def _deny(self, call: Call, name: str) -> Request:
        policy = {
            "apiVersion": "networking.k8s.io/v1",
            "kind": "NetworkPolicy",
            "metadata": {
                "name": f"warroom-deny-{name}",
                "annotations": {
                    "warroom/order": call.order,
                    "warroom/reason": template.values(call)["reason"],
                },
            },
            "spec": {
                "podSelector": {"matchLabels": {self._options.label: name}},
                "policyTypes": ["Egress"],
            },
        }
        return Request(
            "PATCH", f"{self._policy(name)}?fieldManager=warroom&force=true", _APPLY, json.dumps(policy)
        )

    def _allow(self, name: str) -> Request:
        return self._request("DELETE", self._policy(name))

    def _policy(self, name: str) -> str:
        return f"{self._space('apis/networking.k8s.io/v1')}/networkpolicies/warroom-deny-{name}"

    # What all of them need.

    def _target(self, call: Call) -> tuple[str, str]:
        kind, slash, name = call.target.rpartition("/")
        kind = kind if slash else self._options.kind
        if kind not in _KINDS:
            raise Declined(
                f"{call.target[:100]!r} is none of {', '.join(f'{each}/NAME' for each in _KINDS)}."
            )
        if not _NAME.fullmatch(name) or (kind == "egress" and len(name) > 63):
            raise Declined(f"{name[:100]!r} is no name that Kubernetes has.")
        return kind, name

    def _space(self, group: str) -> str:
        return f"{self.url}/{group}/namespaces/{self._options.namespace}"

    def _path(self, kind: str, name: str) -> str:
        return f"{self._space(_KINDS[kind])}/{kind}s/{name}"

    def _managed(self, kind: str, name: str) -> str:
        return f"{self._path(kind, name)}?fieldManager=warroom"

    def _pods_path(self, selector: str) -> str:
        return f"{self._space('api/v1')}/pods?labelSelector={quote(selector, safe='')}"

    def _request(self, method: str, path: str) -> Request:
        return Request(method, path, {"Accept": "application/json"})

    async def _get(self, call: Call, path: str) -> Reply:
        return await self.client.send(call, self._request("GET", path), (200,))

    async def _send(self, call: Call, request: Request, took: tuple[int, ...] = (200,)) -> Reply:
        return await self.client.send(call, request, took)


def _seconds(text: object, read: Callable[[str], datetime]) -> float:
    """A time of the cluster, which is compared with others of its own clock only; 0: there is none."""
    try:
        return read(text).timestamp() if isinstance(text, str) else 0.0
    except (ValueError, TypeError, IndexError, OverflowError):
        return 0.0


def _active(cronjob: Any) -> list[str]:
    """The jobs of a CronJob that have not ended."""
    jobs = field(cronjob, "status.active")
    names = [field(each, "name") for each in jobs] if isinstance(jobs, list) else []
    return [name for name in names if isinstance(name, str) and _NAME.fullmatch(name)]
