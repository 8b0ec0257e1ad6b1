"""Every shipped document says who owns it, for whom it is, how old it is and when it is read again."""

import datetime as dt
from pathlib import Path

import pytest

from playbooks import load, yaml
from playbooks.library import placed
from playbooks.schema import Roles

DOCUMENTS = sorted(load.LIBRARY.rglob("*.yaml"))


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.stem)
@pytest.mark.req("S002-META-1", "S003-VR-1", "S003-VR-2")
def test_a_document_has_its_front_matter(path: Path) -> None:
    written = yaml.read(path.read_bytes()).value
    assert isinstance(written, dict)
    assert {"owner", "last_review", "status", "tags", "references", "version", "audience"} <= written.keys()
    kind = placed(path)
    assert kind is not None
    read = load.document(path, kind.model)
    assert read.owner
    assert read.audience
    assert read.corrections
    assert read.version
    assert read.tags
    assert read.last_review == dt.date.fromisoformat(written["last_review"])
    assert read.review_due() - read.last_review == dt.timedelta(days=60)


@pytest.mark.req("S002-META-1", "S003-VR-2")
@pytest.mark.parametrize(
    "field", ["owner", "last_review", "status", "audience", "version", "corrections", "review_every_days"]
)
def test_a_document_without_it_is_refused(tmp_path: Path, field: str) -> None:
    source = load.LIBRARY / "roles.yaml"
    lines = [line for line in source.read_text().splitlines() if not line.startswith(f"{field}:")]
    path = tmp_path / "roles.yaml"
    path.write_text("\n".join(lines) + "\n")
    with pytest.raises(load.PlaybookTrouble, match=field):
        load.document(path, Roles)
