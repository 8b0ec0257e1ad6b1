"""Kubernetes: an API server that keeps to paths, media types, rights and the shapes of answers of the real one."""

from __future__ import annotations

import datetime as dt
import json
from typing import Any
from urllib.parse import parse_qs, unquote

import pytest
from aiohttp import web

from console.containment.actuator import Call, Declined
from console.refusal import Refused
from tests.actuators.conftest import SECRET, TROUBLES, Make, Seen, Site, Start, call, said, survives

GROUPS = {
    "deployments": "/apis/apps/v1/namespaces/agents",
    "statefulsets": "/apis/apps/v1/namespaces/agents",
    "cronjobs": "/apis/batch/v1/namespaces/agents",
    "jobs": "/apis/batch/v1/namespaces/agents",
    "networkpolicies": "/apis/networking.k8s.io/v1/namespaces/agents",
    "pods": "/api/v1/namespaces/agents",
}
MERGE, APPLY = "application/merge-patch+json", "application/apply-patch+yaml"


def failed(code: int, reason: str) -> web.Response:
    return said(
        {"kind": "Status", "status": "Failure", "reason": reason, "message": reason, "code": code}, code
    )


def labels(selector: str) -> dict[str, str]:
    return dict(part.split("=") for part in selector.split(",") if part)


class Cluster(Site):
    """Workloads with their pods. A pod that nobody deletes with a grace takes 30 s to end, which is: the whole test."""

    def __init__(self) -> None:
        super().__init__()
        self.objects: dict[tuple[str, str], dict[str, Any]] = {
            ("deployments", "refunds"): {"replicas": 3, "annotations": {}},
            ("deployments", "billing"): {"replicas": 1, "annotations": {}},
            ("statefulsets", "memory"): {"replicas": 2, "annotations": {}},
            ("cronjobs", "nightly"): {
                "spec": {},
                "status": {"active": [{"kind": "Job", "name": "nightly-1"}]},
            },
            ("jobs", "nightly-1"): {"spec": {}, "status": {"active": 1}},
            ("jobs", "done"): {
                "spec": {},
                "status": {"conditions": [{"type": "Complete", "status": "True"}]},
            },
        }
        self.pods: list[dict[str, str]] = [{"app": "bystander"}]
        self.forbidden: set[tuple[str, str]] = set()
        self.stuck = self.stays = False
        self.deaf = False
        self.grace: list[int] = []
        for (kind, name), each in self.objects.items():
            self.pods += [{"app": name} for _ in range(each.get("replicas", 0))]
            self.pods += [{"job-name": name}] * (kind == "jobs" and bool(each["status"].get("active")))

    async def answer(self, request: Seen) -> web.Response:
        if request.headers.get("Authorization") != f"Bearer {SECRET}":
            return failed(401, "Unauthorized")
        path, _, query = request.path.partition("?")
        wanted = {name: each[0] for name, each in parse_qs(query, strict_parsing=bool(query)).items()}
        for kind, start in GROUPS.items():
            if path.startswith(f"{start}/{kind}"):
                name, _, sub = path.removeprefix(f"{start}/{kind}").strip("/").partition("/")
                break
        else:
            return web.Response(status=404, text="404 page not found")
        if (request.method, f"{kind}/{sub}" if sub else kind) in self.forbidden:
            return failed(403, "Forbidden")
        if kind == "pods":
            return self._pods(request, wanted)
        if kind == "networkpolicies":
            return self._policy(request, name, wanted)
        found = self.objects.get((kind, unquote(name)))
        if found is None:
            return failed(404, "NotFound")
        if request.method == "PATCH":
            if request.headers["Content-Type"] != MERGE:
                return failed(415, "UnsupportedMediaType")
            assert wanted == {"fieldManager": "warroom"}
            if not self.deaf:
                self._patch(kind, name, found, sub, request.value)
        elif request.method != "GET":
            return failed(405, "MethodNotAllowed")
        return said(self._shown(kind, name, found, sub))

    def _patch(self, kind: str, name: str, found: dict[str, Any], sub: str, patch: dict[str, Any]) -> None:
        if kind in ("cronjobs", "jobs"):
            found["spec"] |= patch["spec"]
            if kind == "jobs" and patch["spec"]["suspend"] and not self.stuck:
                found["status"].pop("active", None)
                self.pods = [pod for pod in self.pods if pod.get("job-name") != name]
        elif sub == "scale":
            assert set(patch) == {"spec"}
            found["replicas"] = int(patch["spec"]["replicas"])
            there = sum(pod.get("app") == name for pod in self.pods)
            self.pods += [{"app": name}] * (found["replicas"] - there)
        else:
            found["annotations"] |= patch["metadata"]["annotations"]

    def _shown(self, kind: str, name: str, found: dict[str, Any], sub: str) -> dict[str, Any]:
        if kind in ("cronjobs", "jobs"):
            return {"kind": "Job", "metadata": {"name": name}, **found}
        if sub == "scale":
            # A wanted number of 0 is left out, as the API does.
            spec = {"replicas": found["replicas"]} if found["replicas"] else {}
            status = {"replicas": found["replicas"], "selector": f"app={name}"}
            return {"kind": "Scale", "apiVersion": "autoscaling/v1", "spec": spec, "status": status}
        metadata = (
            {"name": name, "annotations": found["annotations"]} if found["annotations"] else {"name": name}
        )
        return {"kind": "Deployment", "metadata": metadata, "spec": {"replicas": found["replicas"]}}

    def _pods(self, request: Seen, wanted: dict[str, str]) -> web.Response:
        assert wanted.get("labelSelector"), "all pods of the namespace would be meant"
        chosen = labels(wanted["labelSelector"])
        fits = [pod for pod in self.pods if chosen.items() <= pod.items()]
        if request.method == "DELETE":
            self.grace.append(request.value["gracePeriodSeconds"])
            if not self.stays:
                kept = [pod for pod in self.pods if pod not in fits]
                # The controller makes new ones while it is told to have some.
                for pod in fits:
                    kept += [pod] * bool(
                        self.objects.get(("deployments", pod.get("app", "")), {}).get("replicas")
                    )
                self.pods = kept
            return said({"kind": "PodList", "items": [{}] * len(fits)})
        assert request.method == "GET"
        assert "status.phase!=Succeeded" in wanted["fieldSelector"]
        # When they have to have ended: the time of the DELETE and the grace, by the clock of the cluster.
        ends = dt.datetime.now(dt.UTC) + dt.timedelta(seconds=-60 if self.stuck else 60)
        told = {"deletionTimestamp": ends.strftime("%Y-%m-%dT%H:%M:%SZ")} if self.grace and self.stays else {}
        items = [{"metadata": {"labels": pod, **told}} for pod in fits]
        return said({"kind": "PodList", "metadata": {}, "items": items})

    def _policy(self, request: Seen, name: str, wanted: dict[str, str]) -> web.Response:
        found = self.objects.get(("networkpolicies", name))
        if request.method == "PATCH":
            if request.headers["Content-Type"] != APPLY:
                return failed(415, "UnsupportedMediaType")
            assert wanted == {"fieldManager": "warroom", "force": "true"}
            assert request.value["metadata"]["name"] == name
            self.objects["networkpolicies", name] = request.value
            return said(request.value, 200 if found else 201)
        if found is None:
            return failed(404, "NotFound")
        if request.method == "DELETE":
            del self.objects["networkpolicies", name]
            return said({"kind": "Status", "status": "Success"})
        return said(found)


@pytest.fixture
async def cluster(start: Start[Cluster]) -> Cluster:
    return await start(Cluster())


def options(site: Site, **more: object) -> dict[str, object]:
    return {"url": site.url, "token_env": "TEST_TOKEN", "namespace": "agents", **more}


def on(target: str, verb: str = "halt_agent", **more: Any) -> Call:
    return call(verb, target=target, **more)


@pytest.mark.parametrize(
    ("target", "had"), [("refunds", 3), ("deployment/refunds", 3), ("statefulset/memory", 2)]
)
async def test_a_workload_goes_to_zero_with_its_pods_and_gets_back_what_it_had(
    target: str, had: int, cluster: Cluster, made: Make
) -> None:
    actuator = made("kubernetes", options(cluster))
    assert (await actuator.probe(on(target))).observed == "running"
    for _ in range(2):  # a repeat does not take 0 for what it had
        answer = await actuator.apply(on(target))
        assert not answer.effective
    reading = await actuator.probe(on(target))
    assert reading.observed == "stopped"
    assert "no pods" in reading.note
    assert cluster.grace == [5, 5]
    assert {"app": "bystander"} in cluster.pods
    await actuator.apply(on(target, "restore_agent"))
    assert (await actuator.probe(on(target, "restore_agent"))).observed == "running"
    name = target.rpartition("/")[2]
    assert sum(pod == {"app": name} for pod in cluster.pods) == had


async def test_somebody_who_scales_it_up_again_is_noticed(cluster: Cluster, made: Make) -> None:
    actuator = made("kubernetes", options(cluster))
    await actuator.apply(on("refunds"))
    assert (await actuator.probe(on("refunds"))).observed == "stopped"
    cluster.objects["deployments", "refunds"]["replicas"] = 1
    reading = await actuator.probe(on("refunds"))
    assert reading.observed == "running"
    assert "1 replicas are wanted" in reading.note


async def test_pods_that_have_time_to_end_prove_nothing(cluster: Cluster, made: Make) -> None:
    cluster.stays = True
    actuator = made("kubernetes", options(cluster))
    await actuator.apply(on("refunds"))
    reading = await actuator.probe(on("refunds"))
    assert reading.observed == "unknown"
    assert "3 pods" in reading.note
    cluster.pods = []
    assert (await actuator.probe(on("refunds"))).observed == "stopped"


async def test_pods_that_do_not_end_are_running(cluster: Cluster, made: Make) -> None:
    cluster.stuck = cluster.stays = True
    actuator = made("kubernetes", options(cluster, grace_seconds=0))
    await actuator.apply(on("refunds"))
    reading = await actuator.probe(on("refunds"))
    assert reading.observed == "running"
    assert "3 pods" in reading.note
    assert cluster.grace == [0]


async def test_one_that_says_ok_and_does_nothing_is_seen(cluster: Cluster, made: Make) -> None:
    cluster.deaf = True
    actuator = made("kubernetes", options(cluster))
    await actuator.apply(on("refunds"))
    assert (await actuator.probe(on("refunds"))).observed == "running"


async def test_without_the_right_to_note_it_halts_all_the_same(cluster: Cluster, made: Make) -> None:
    cluster.forbidden = {("PATCH", "deployments")}
    actuator = made("kubernetes", options(cluster))
    answer = await actuator.apply(on("refunds"))
    assert "It had 3 replicas." in answer.note
    assert "could not be noted" in answer.note
    assert (await actuator.probe(on("refunds"))).observed == "stopped"
    with pytest.raises(Declined, match="how many replicas"):
        await actuator.apply(on("refunds", "restore_agent"))
    await actuator.apply(on("refunds", "scale_back", args={"replicas": "2"}))
    assert cluster.objects["deployments", "refunds"]["replicas"] == 2
    for bad in ("0", "-1", "2e9", "many", "1.5", "99999999"):
        with pytest.raises(Declined):
            await actuator.apply(on("refunds", "scale_back", args={"replicas": bad}))
    again = made("kubernetes", options(cluster, replicas=4))
    await again.apply(on("refunds", "restore_agent"))
    assert cluster.objects["deployments", "refunds"]["replicas"] == 4


async def test_a_restored_one_without_a_pod_does_not_run_yet(cluster: Cluster, made: Make) -> None:
    actuator = made("kubernetes", options(cluster))
    cluster.pods = []
    assert (await actuator.probe(on("refunds", "restore_agent"))).observed == "unknown"


async def test_a_schedule_is_suspended_with_the_jobs_that_run(cluster: Cluster, made: Make) -> None:
    actuator = made("kubernetes", options(cluster))
    what = on("cronjob/nightly", "scheduler_off")
    assert (await actuator.probe(what)).observed == "running"
    await actuator.apply(what)
    assert cluster.objects["jobs", "nightly-1"]["spec"] == {"suspend": True}
    assert (await actuator.probe(what)).observed == "stopped"
    await actuator.apply(on("cronjob/nightly", "scheduler_on"))
    assert cluster.objects["cronjobs", "nightly"]["spec"] == {"suspend": False}
    assert (await actuator.probe(what)).observed == "running"


async def test_a_job_whose_pods_go_on_runs(cluster: Cluster, made: Make) -> None:
    actuator = made("kubernetes", options(cluster, kind="job"))
    cluster.stuck = True
    await actuator.apply(on("nightly-1"))
    assert (await actuator.probe(on("nightly-1"))).observed == "running"
    reading = await actuator.probe(on("cronjob/nightly"))
    assert reading.observed == "running"
    assert (await actuator.probe(on("done"))).observed == "stopped"


async def test_a_policy_denies_egress_and_only_a_canary_proves_it(
    cluster: Cluster, start: Start[Any], made: Make
) -> None:
    class Outside(Site):
        async def answer(self, request: Seen) -> web.Response:
            return said(
                {
                    "calls": "denied"
                    if ("networkpolicies", "warroom-deny-refunds") in cluster.objects
                    else "through"
                }
            )

    outside = await start(Outside())
    actuator = made("kubernetes", options(cluster, label="app.kubernetes.io/name"))
    what = on("egress/refunds", reason='a "reason"')
    assert (await actuator.probe(what)).observed == "running"
    for _ in range(2):
        await actuator.apply(what)
    policy = cluster.objects["networkpolicies", "warroom-deny-refunds"]
    assert policy["spec"] == {
        "podSelector": {"matchLabels": {"app.kubernetes.io/name": "refunds"}},
        "policyTypes": ["Egress"],
    }
    assert policy["metadata"]["annotations"]["warroom/reason"] == 'a "reason"'
    assert (await actuator.probe(what)).observed == "unknown"
    canary = {
        "url": outside.url,
        "stopped": {"field": "calls", "equals": "denied"},
        "running": {"field": "calls", "equals": "through"},
    }
    watched = made("kubernetes", options(cluster, label="app.kubernetes.io/name", canary=canary))
    assert (await watched.probe(what)).observed == "stopped"
    policy["spec"]["egress"] = [{}]
    assert (await watched.probe(what)).observed == "running"
    for _ in range(2):
        await actuator.apply(on("egress/refunds", "restore_agent"))
    assert (await watched.probe(what)).observed == "running"


async def test_an_answer_without_a_selector_deletes_no_pod(cluster: Cluster, made: Make) -> None:
    class Odd(Cluster):
        def _shown(self, kind: str, name: str, found: dict[str, Any], sub: str) -> dict[str, Any]:
            return {"spec": {"replicas": 3}, "status": {"replicas": 3, "selector": " "}}

    cluster.__class__ = Odd
    actuator = made("kubernetes", options(cluster))
    await actuator.apply(on("refunds"))
    assert not cluster.grace
    assert (await actuator.probe(on("refunds"))).observed != "stopped"


async def test_the_dry_run_names_what_is_sent(cluster: Cluster, made: Make) -> None:
    actuator = made("kubernetes", options(cluster))
    plan = actuator.plan(on("refunds"))
    assert f"PATCH {cluster.url}/apis/apps/v1/namespaces/agents/deployments/refunds/scale" in plan
    assert "gracePeriodSeconds" in plan
    assert SECRET not in plan
    assert "suspend" in actuator.plan(on("cronjob/nightly"))
    assert "NetworkPolicy" in actuator.plan(on("egress/refunds"))
    assert not cluster.seen


async def test_what_is_no_name_is_declined(cluster: Cluster, made: Make) -> None:
    actuator = made("kubernetes", options(cluster))
    for target in (
        "pods/x",
        "../secrets/x",
        "deployment/..",
        "deployment/a/b",
        "Refunds",
        "",
        "a?b",
        "a%2fb",
        "x" * 300,
    ):
        with pytest.raises(Declined):
            await actuator.apply(on(target))
        assert "Nothing is sent" in actuator.plan(on(target))
        assert (await actuator.probe(on(target))).observed == "unknown"
    assert not cluster.seen
    with pytest.raises(Declined, match="404"):
        await actuator.apply(on("unheard-of"))


async def test_a_wrong_token_and_missing_rights_are_said(cluster: Cluster, made: Make) -> None:
    with pytest.raises(Declined, match="check the secret"):
        await made("kubernetes", options(cluster), TEST_TOKEN="another-0123456789").apply(on("refunds"))
    cluster.forbidden = {("PATCH", "deployments/scale")}
    with pytest.raises(Declined, match=r"403.*Forbidden"):
        await made("kubernetes", options(cluster)).apply(on("refunds"))
    cluster.forbidden = {("GET", "pods")}
    assert (await made("kubernetes", options(cluster)).probe(on("refunds"))).observed == "unknown"


@pytest.mark.parametrize(
    ("trouble", "target"),
    [
        (trouble, target)
        for trouble in TROUBLES
        for target in ("refunds", "cronjob/nightly", "egress/refunds")
        # A policy that is not there denies nothing, which is an answer.
        if (trouble, target) != ("404", "egress/refunds")
    ],
)
async def test_whatever_it_does_is_said_in_time(
    trouble: str, target: str, cluster: Cluster, made: Make
) -> None:
    timeout = 0.5 if trouble in ("hangs", "drips") else 5.0
    actuator = made("kubernetes", options(cluster))
    await survives(trouble, cluster, actuator, on(target, timeout=timeout))
    assert cluster.objects["deployments", "refunds"]["replicas"] == 3


@pytest.mark.parametrize(
    "value",
    [None, [], 1, "x", {"spec": 1, "status": 1}, {"spec": {"replicas": "0"}, "status": {"replicas": [], "selector": 1}},
     {"spec": {"suspend": "yes", "policyTypes": 1, "egress": 0}, "status": {"active": {"a": 1}, "conditions": {}}}],
)  # fmt: skip
@pytest.mark.parametrize("target", ["refunds", "cronjob/nightly", "job/done", "egress/refunds"])
async def test_an_answer_of_any_shape_proves_nothing(
    value: Any, target: str, start: Start[Any], made: Make
) -> None:
    class Anything(Site):
        async def answer(self, request: Seen) -> web.Response:
            return said(value)

    site = await start(Anything())
    assert (await made("kubernetes", options(site)).probe(on(target))).observed != "stopped"
    assert json.dumps(value)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"url": "http://10.0.0.1:6443"}, "in the clear"),
        ({"namespace": "a/b"}, "`namespace`"),
        ({"kind": "pod"}, "`kind`"),
        ({"grace_seconds": 31}, "`grace_seconds`"),
        ({"label": "a b"}, "`label`"),
        ({"ca_file": "none.pem"}, "`ca_file`"),
        ({"token_env": None}, "`token_env` is missing"),
    ],
)
def test_a_mistake_is_said(change: dict[str, Any], words: str, made: Make) -> None:
    with pytest.raises(Refused, match=words):
        made("kubernetes", {"url": "https://10.0.0.1:6443", "token_env": "TEST_TOKEN"} | change)
