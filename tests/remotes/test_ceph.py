"""A real gateway: what holds on moto holds on Ceph. `make test-remotes` starts one."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from importlib import import_module
from typing import Any

import pytest

from data.remotes import Absent
from data.remotes.opening import open_remote
from tests.remotes.conftest import S3

ENDPOINT = os.environ.get("WARROOM_CEPH", "")

pytestmark = [
    pytest.mark.ceph,
    pytest.mark.skipif(not ENDPOINT, reason="make test-remotes starts a Ceph gateway"),
]


def test_ceph_is_atomic_and_keeps_what_it_was_given(case: str) -> None:
    boto3: Any = import_module("boto3")
    boto3.client(
        "s3", endpoint_url=ENDPOINT, region_name="us-east-1", aws_access_key_id="test",
        aws_secret_access_key=S3["secret_access_key"],
    ).create_bucket(Bucket="evidence")  # fmt: skip
    with closing(open_remote("s3://evidence", {"endpoint": ENDPOINT, **S3})) as remote:
        found = remote.probe()
        assert (found.create, found.reads_back, found.lists, found.sorted) == ("atomic", True, True, True)
        assert found.skew_ms is not None
        for _ in range(20):
            name, bids = f"{case}/{os.urandom(8).hex()}", [os.urandom(1000) for _ in range(16)]
            with ThreadPoolExecutor(16) as pool:
                won = list(pool.map(lambda bid, name=name: remote.put(name, bid), bids))
            assert won.count(True) == 1
            assert remote.get(name) == bids[won.index(True)]
        assert len(list(remote.list(f"{case}/"))) == 20
        big = os.urandom(20_000_000)
        assert remote.put(f"{case}/big", big)
        assert remote.get(f"{case}/big") == big
        with pytest.raises(Absent):
            remote.get(f"{case}/nothing")
