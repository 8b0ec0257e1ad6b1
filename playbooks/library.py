"""The library: the shipped documents, and over them those of the team.

Which file holds which kind of document is said once, in `KINDS`. A team's document with the kind and the id of
a shipped one stands in its place; any other is added. A broken one changes nothing: what it would have replaced
stays in force, and `Library.problems` says what is wrong with it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar, cast

from playbooks import reading, yaml
from playbooks.reading import PlaybookTrouble, Problem

if TYPE_CHECKING:
    from playbooks.guidance import Move
    from playbooks.schema import Document

SHIPPED = Path(__file__).parent
SUFFIXES = (".yaml", ".yml")
MOST_FILES = 1000
MOST_BYTES = 16 << 20
"""Of one directory; a directory that holds more is not a library."""

D = TypeVar("D", bound="Document")


class Kind(NamedTuple):
    """One kind of document.

    Attributes:
        name: of its folder, or of its only file.
        where: `module:model` within playbooks.
        sign: a key that no kind before it in the table has; tells what a file is that lies elsewhere.
        parts: for kinds of which there is one document: the lists in it, to which those of a team add theirs.
    """

    name: str
    where: str
    sign: str
    parts: tuple[str, ...] = ()

    @property
    def model(self) -> type[Document]:
        """What a document of the kind must hold."""
        module, _, name = self.where.partition(":")
        return cast("type[Document]", getattr(import_module(f"playbooks.{module}"), name))


KINDS = {
    kind.name: kind
    for kind in (
        Kind("responses", "response:Playbook", "summary"),
        Kind("checklists", "schema:Checklist", "items"),
        Kind("severity", "schema:SeverityScale", "levels"),
        Kind("rollback", "undoing:RollbackClass", "procedure"),
        Kind("scenarios", "schema:Scenario", "loop"),
        Kind("messages", "guidance:Messages", "templates"),
        Kind("reviews", "guidance:Review", "purpose"),
        Kind("forms", "guidance:Form", "questions"),
        Kind("regulation", "guidance:Regulation", "clocks"),
        Kind("roles", "schema:Roles", "roles", ("roles",)),
        Kind("moves", "guidance:Moves", "moves", ("moves",)),
        Kind("tags", "guidance:Tags", "axes", ("axes",)),
        Kind("routing", "guidance:Routing", "routes", ("contacts", "routes")),
        Kind("authorities", "guidance:Authorities", "authorities", ("authorities",)),
        Kind("evidence", "guidance:EvidenceSchema", "evidence", ("evidence",)),
        Kind("baselines", "guidance:Baselines", "baselines", ("baselines",)),
        Kind("organisation", "guidance:Organisation", "fill_ins", ("fill_ins",)),
    )
}


class Entry(NamedTuple):
    """A document of the library and where it comes from.

    Attributes:
        own: whether it is the team's.
        replaces: the shipped document in whose place it stands.
    """

    kind: Kind
    document: Document
    path: Path
    tree: yaml.Tree
    own: bool = False
    replaces: Document | None = None


class File(NamedTuple):
    """A file that may be a document; `kind` is None when nothing tells what it is."""

    path: Path
    name: str
    kind: Kind | None


def files(directory: Path) -> list[File]:
    """The documents of a directory: its own files and those of its folders, by name. A file is itself.

    Raises:
        PlaybookTrouble: it cannot be listed, or holds too many files to be a library.
    """
    if directory.exists() and not directory.is_dir():
        return [File(directory, str(directory), placed(directory))]
    found: list[File] = []
    count = size = 0
    try:
        places = [directory, *sorted(each for each in directory.iterdir() if _is_folder(each))]
        for path in (path for place in places for path in place.iterdir()):
            count += 1
            if count > MOST_FILES:
                what = f"more than {MOST_FILES} files; that is no library"
                raise PlaybookTrouble([Problem(str(directory), 1, what, NO_LIBRARY)])
            if path.suffix in SUFFIXES and not path.name.startswith(".") and not path.is_dir():
                found.append(File(path, str(path), placed(path)))
                size += _read_of(path)
        if size > MOST_BYTES:
            what = f"documents of more than {MOST_BYTES >> 20} MiB; that is no library"
            raise PlaybookTrouble([Problem(str(directory), 1, what, NO_LIBRARY)])
    except OSError as error:
        what = f"cannot be listed: {error.strerror or error}"
        fix = "Name a directory that exists and can be read."
        raise PlaybookTrouble([Problem(str(directory), 1, what, fix)]) from None
    return sorted(found, key=lambda each: each.path)


NO_LIBRARY = "Name the directory that holds the documents and nothing else."


def _read_of(path: Path) -> int:
    """How many bytes of a file would be built into a document."""
    size = path.stat().st_size if path.exists() else 0
    return size if size <= yaml.MAX_BYTES else 0


def _is_folder(path: Path) -> bool:
    return path.is_dir() and path.name[0] not in "._"


def placed(path: Path) -> Kind | None:
    """The kind that the place of a file says."""
    kind = KINDS.get(path.stem)
    if kind is not None and kind.parts:
        return kind
    return KINDS.get(path.parent.name)


def signed(tree: yaml.Tree) -> Kind | None:
    """The kind that the content of a file says."""
    if not isinstance(tree.value, dict):
        return None
    if reading.CONTAINMENT in tree.value:
        return KINDS["responses"]
    return next((kind for kind in KINDS.values() if kind.sign in tree.value), None)


class Library:
    """The documents in force.

    Args:
        overlays: directories of the team; of two with the same document the later one counts.
        root: the documents under them. They are ours and whole: a broken one raises.
    """

    def __init__(self, *overlays: Path, root: Path = SHIPPED) -> None:
        self.overlays = overlays
        self.root = root
        self._entries: dict[str, tuple[Entry, ...]] = {}
        self._problems: dict[str, list[tuple[Problem, str]]] = {}
        self._only: dict[str, Document] = {}

    @property
    def problems(self) -> tuple[Problem, ...]:
        """What is wrong with the team's documents, all of which are read for that."""
        for kind in KINDS:
            self.entries(kind)
        return tuple(problem for found in self._problems.values() for problem, _ in found)

    def problems_of(self, kind: str, id: str) -> tuple[Problem, ...]:
        """What is wrong with the team's version of a document, while the shipped one stands in."""
        self.entries(kind)
        return tuple(problem for problem, about in self._problems.get(kind, ()) if about == id)

    def entries(self, kind: str) -> tuple[Entry, ...]:
        """The documents of a kind: the shipped ones in their order, then those of the team.

        Raises:
            PlaybookTrouble: a shipped document is broken.
        """
        if kind not in self._entries:
            self._entries[kind] = tuple(self._read(KINDS[kind]))
        return self._entries[kind]

    def documents(self, model: type[D]) -> tuple[D, ...]:
        """The documents of a model (raises as `entries`)."""
        return tuple(cast("D", entry.document) for entry in self.entries(_kind(model).name))

    def named(self, model: type[D], id: str) -> D:
        """One document.

        Raises:
            KeyError: there is none with this id.
            PlaybookTrouble: a shipped document is broken.
        """
        for document in self.documents(model):
            if document.id == id:
                return document
        raise KeyError(id)

    def only(self, model: type[D]) -> D:
        """The one document of a kind that has only one, with what the team adds to its lists.

        Raises:
            KeyError: there is none.
            PlaybookTrouble: a shipped document is broken.
        """
        kind = _kind(model)
        if kind.name not in self._only:
            documents = self.documents(model)
            if not documents:
                raise KeyError(kind.name)
            update = {part: _together([getattr(each, part) for each in documents]) for part in kind.parts}
            self._only[kind.name] = documents[0].model_copy(update=update)
        return cast("D", self._only[kind.name])

    def find(self, id: str, kind: str = "") -> tuple[Entry, ...]:
        """Every document with an id; `kind/id` names one of them."""
        folder, _, name = id.rpartition("/")
        kinds = [folder or kind] if folder or kind else list(KINDS)
        return tuple(
            entry
            for each in kinds
            if each in KINDS
            for entry in self.entries(each)
            if entry.document.id == name
        )

    def _read(self, kind: Kind) -> Iterator[Entry]:
        found: dict[str, Entry] = {}
        shipped = (
            [self.root / f"{kind.name}.yaml"]
            if kind.parts
            else sorted((self.root / kind.name).glob("*.yaml"))
        )
        for path in shipped:
            if kind.parts and not path.exists():
                continue
            tree = reading.tree(path)
            entry = Entry(kind, reading.checked(tree, kind.model, path.name), path, tree)
            if entry.document.id in found:
                what = f"`{entry.document.id}` is the id of {found[entry.document.id].path.name} too"
                raise PlaybookTrouble([Problem(path.name, 1, what)])
            found[entry.document.id] = entry
        if kind.name == "rollback":
            _one_number_each(found.values())
        for overlay in self.overlays:
            self._lay(overlay, kind, found)
        return iter(found.values())

    def _lay(self, overlay: Path, kind: Kind, found: dict[str, Entry]) -> None:
        """Put the documents of an overlay over those that were `found`."""
        seen: dict[str, Path] = {}
        for path, tree, trouble in self._trees.get(overlay, {}).get(kind.name, ()):
            id = path.stem
            try:
                if tree is None:
                    raise trouble or PlaybookTrouble([])
                if reading.CONTAINMENT in tree.value:
                    tree = reading.containment(tree, path.stem, self.moves())
                if isinstance(tree.value, dict):
                    id = str(tree.value.get("id", id))
                document = reading.checked(tree, kind.model, str(path))
                if id in seen:
                    fix = "Give one of them another id."
                    what = f"`{id}` is the id of {seen[id].name} too, which counts"
                    raise PlaybookTrouble([Problem(str(path), tree.line(("id",)), what, fix)])
                entry = Entry(kind, document, path, tree, True, found[id].document if id in found else None)
                if kind.name == "rollback":
                    _one_number_each([*(each for each in found.values() if each.document.id != id), entry])
            except PlaybookTrouble as error:
                self._problems.setdefault(kind.name, []).extend((each, id) for each in error.problems)
                continue
            seen[id] = path
            found[id] = entry

    @cached_property
    def _trees(self) -> dict[Path, dict[str, list[tuple[Path, yaml.Tree | None, PlaybookTrouble | None]]]]:
        """The files of each overlay by kind, read once."""
        trees: dict[Path, dict[str, list[tuple[Path, yaml.Tree | None, PlaybookTrouble | None]]]] = {}
        for overlay in self.overlays:
            kinds = trees.setdefault(overlay, {})
            try:
                for path, name, placed in files(overlay):
                    tree, trouble = None, None
                    try:
                        tree = reading.tree(path, name)
                    except PlaybookTrouble as error:
                        trouble = error
                    kind = placed or (signed(tree) if tree else None)
                    if kind is None:
                        found = trouble.problems if trouble else [Problem(name, 1, WHAT_KIND, WHICH_KIND)]
                        self._problems.setdefault("", []).extend((each, path.stem) for each in found)
                    else:
                        kinds.setdefault(kind.name, []).append((path, tree, trouble))
            except PlaybookTrouble as error:
                self._problems.setdefault("", []).extend((each, "") for each in error.problems)
        return trees

    def moves(self) -> dict[str, Move]:
        """The catalogue of verbs; empty where there is none."""
        from playbooks.guidance import Moves

        try:
            return {move.verb: move for move in self.only(Moves).moves}
        except KeyError:
            return {}


WHAT_KIND = "nothing tells which kind of document this is"
WHICH_KIND = f"Put it into the folder of its kind: {', '.join(KINDS)}."


def _kind(model: type[Document]) -> Kind:
    return next(kind for kind in KINDS.values() if kind.where.endswith(f":{model.__name__}"))


def key_of(part: Any) -> str:
    """What a part of a list goes by."""
    return str(next(name for key in ("verb", "id", "name") if (name := getattr(part, key, None))))


def _together(lists: Sequence[tuple[Any, ...]]) -> tuple[Any, ...]:
    """One list of several; a part of a later list stands in the place of one that goes by the same name."""
    return tuple({key_of(part): part for each in lists for part in each}.values())


def _one_number_each(entries: Any) -> None:
    """Refuse action classes that share a number: the number is how people call them."""
    taken: dict[int, Entry] = {}
    for entry in entries:
        number = entry.document.number
        if number in taken:
            other = taken[number].document.title
            what = f"`{entry.document.title}` and `{other}` share the number {number}"
            name = str(entry.path) if entry.own else entry.path.name
            fix = "Give it a number that no other class has."
            raise PlaybookTrouble([Problem(name, entry.tree.line(("number",)), what, fix)])
        taken[number] = entry


_where: Callable[[], Sequence[Path]] = tuple
_library: Library | None = None


def overlay_by(where: Callable[[], Sequence[Path]]) -> None:
    """Let `where` say, when documents are first needed, which directories lie over the shipped ones."""
    global _where, _library
    _where, _library = where, None


def in_force() -> Library:
    """The library that this process works with; documents are read once."""
    global _library
    if _library is None:
        _library = Library(*_where())
    return _library
