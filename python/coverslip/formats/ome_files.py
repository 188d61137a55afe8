"""Which files an OME-TIFF is: its XML names those of its planes, or a file that has the XML.

The first of a set is the file of the first plane of the first picture, whichever file is given: so
a set is the same slide by any of its names.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from xml.etree.ElementTree import Element

from coverslip.errors import LimitError, SourceError, UnsupportedSlideError
from coverslip.formats.ome_words import VOCABULARY
from coverslip.formats.xml import parse
from coverslip.formats.xml_items import children, integer_in, xml_items
from coverslip.limits import LIMITS
from coverslip.model import ItemKind, SourceItem, SourceText
from coverslip.tiff import Directory, Folder, TextFile, Tiff, description_of
from coverslip.tiff.tags import IMAGE_DESCRIPTION

_END_BYTES = 64
"""Of a description, in which its end is looked for: it may be padded."""
_DISAGREE = "the files of the OME-TIFF set disagree about which files it is"

OpenText = Callable[[str], SourceText]
"""Returns the description in another file of the folder."""


@dataclass(frozen=True, slots=True)
class Reference:
    """A file as an XML tells it, by UUID, by name or both."""

    uuid: str | None
    name: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """The XML that rules a slide, and the files that it tells of."""

    root: Element
    place: str
    """Where it stands."""
    items: tuple[SourceItem, ...]
    """The texts of all XML in all files."""
    files: tuple[Reference | None, ...]
    """What each file is called; ``None`` for one without planes, and for the only one."""
    own: int
    """Number of the file that has it."""

    def file_of(self, data: Element | None) -> int:
        """Return the number of the file in which a ``TiffData`` says that planes are."""
        reference = None if data is None or len(self.files) == 1 else _reference(data)
        return self.own if reference is None else self.files.index(reference)


def is_described(directory: Directory) -> bool:
    """Tell whether the description of a directory ends as an OME-XML does, in whatever encoding."""
    end = directory.end_of(IMAGE_DESCRIPTION, _END_BYTES).replace(b"\0", b"")
    if end.rstrip(b" \t\r\n").endswith(b"OME>"):
        return True
    try:  # something may stand behind the zero that ends it
        text = directory.text(IMAGE_DESCRIPTION)
    except LimitError:
        return False
    return text is not None and text.reveal().rstrip().endswith("OME>")


def names_of(text: SourceText, name: str, opened: OpenText) -> list[str | None]:
    """Return the names of the files of a slide, the first one first; ``None`` is the given one.

    Parameters
    ----------
    text
        The description of the given file.
    name
        Its name.
    opened
        Returns the description in another file of its folder.

    Raises
    ------
    SourceError
        If the XML makes no sense.
    """
    said = parse(text)
    holder = _holder(said)
    root = said if holder is None else parse(opened(holder))
    if holder is not None and (_holder(root) is not None or not _agree(_holder_uuid(said), root)):
        raise SourceError(_DISAGREE)
    references = _references(root)
    given = _self_among(references, said, name)
    names = [None if one == given else one.name or "" for one in references]
    if None not in names:
        names.append(None)
    if holder is not None and holder not in names:
        names.append(holder)
    return names


def read(tiff: Tiff) -> Document:
    """Return the XML of a slide, all of whose files are open then.

    Raises
    ------
    UnsupportedSlideError
        If some are not there.
    SourceError
        If they do not belong together, or their XML makes no sense.
    LimitError
        If there are too many.
    """
    text = _description(tiff, 0)
    names = names_of(text, tiff.files[0].path.name, partial(text_in, tiff.folder))
    if len(names) == 1:
        root = parse(text)
        place = f"{tiff.directories[0].place} ImageDescription"
        items = tuple(xml_items(root, place, VOCABULARY))
        return Document(root=root, place=place, items=items, files=(None,), own=0)
    tiff.join(names)
    return _of_set(tiff)


def text_in(folder: Folder, name: str) -> SourceText:
    """Return the description in another file of a folder, which holds the XML of a set.

    Raises
    ------
    UnsupportedSlideError
        If it is not there.
    SourceError, LimitError
        As `Folder.open_all`.
    """
    try:
        return description_of(*folder.open_all([name])[0])
    except UnsupportedSlideError as error:
        hint = error.hint
    raise UnsupportedSlideError(
        "the OME-TIFF has its metadata in another file, which is not in its folder", hint=hint
    )


def _of_set(tiff: Tiff) -> Document:
    """Return the XML of a set whose files are open, if they agree that they are one."""
    roots = [parse(_description(tiff, number)) for number in range(len(tiff.files))]
    whole = [number for number, root in enumerate(roots) if _holder(root) is None]
    if not whole:
        raise SourceError(_DISAGREE)
    own = whole[0]
    references = _references(roots[own])
    if any(_references(roots[number]) != references for number in whole):
        raise SourceError(_DISAGREE)
    paths = [file.path.name for file in tiff.files]
    holders = {_holder(root) for root in roots} - {None}
    files = tuple(
        _self_among(references, root, name) for root, name in zip(roots, paths, strict=True)
    )
    # A file without planes belongs to the set only if the others say that it has their XML.
    strangers = {name for name, file in zip(paths, files, strict=True) if file is None} - holders
    if strangers or holders - {paths[own]}:
        raise SourceError(_DISAGREE)
    if [file for file in files if file is not None] != references:
        raise SourceError(_DISAGREE)
    if any(isinstance(tiff.files[n], TextFile) and file for n, file in enumerate(files)):
        raise SourceError("a file of the OME-TIFF set is no TIFF")
    return Document(
        root=roots[own],
        place=_place(tiff, own),
        items=tuple(_items(tiff, roots, own)),
        files=files,
        own=own,
    )


def _items(tiff: Tiff, roots: Sequence[Element], own: int) -> Iterator[SourceItem]:
    """Yield the texts of all XML: what each file says once more is one item of that file."""
    said: set[tuple[str | None, str]] = set()
    for number in (own, *(n for n in range(len(roots)) if n != own)):
        place, again = _place(tiff, number), []
        for item in xml_items(roots[number], place, VOCABULARY):
            known = item.key, item.text.reveal()
            if number != own and known in said:
                again.append(item.text.reveal())
                continue
            said.add(known)
            yield item
        if again:
            text = SourceText("\n".join(again))
            yield SourceItem(place=place, key=None, kind=ItemKind.UNKNOWN, text=text)


def _first_directory(tiff: Tiff, file: int) -> Directory | None:
    return next((one for one in tiff.directories if one.file == file), None)


def _description(tiff: Tiff, file: int) -> SourceText:
    opened = tiff.files[file]
    if isinstance(opened, TextFile):
        return opened.text()
    directory = _first_directory(tiff, file)
    text = None if directory is None else directory.text(IMAGE_DESCRIPTION)
    if directory is None or text is None or not is_described(directory):
        raise SourceError("a file of the OME-TIFF set has no OME-XML")
    return text


def _place(tiff: Tiff, file: int) -> str:
    directory = _first_directory(tiff, file)
    return "OME-XML file" if directory is None else f"{directory.place} ImageDescription"


def _holder(root: Element) -> str | None:
    """Return the name of the file that has the XML, if this one says that another does."""
    found = children(root, "BinaryOnly")
    return found[0].get("MetadataFile", "") if found else None


def _holder_uuid(root: Element) -> str | None:
    return children(root, "BinaryOnly")[0].get("UUID")


def _agree(uuid: str | None, root: Element) -> bool:
    """Tell whether a UUID is that of a document, as far as both are told."""
    own = _uuid(root)
    return not uuid or own is None or uuid.strip() == own


def _uuid(root: Element) -> str | None:
    return root.get("UUID", "").strip() or None


def _reference(data: Element) -> Reference | None:
    """Return the file that a ``TiffData`` names; ``None`` if it is that of the XML."""
    for element in children(data, "UUID")[:1]:
        uuid, name = (element.text or "").strip() or None, element.get("FileName")
        if uuid or name:
            return Reference(uuid, name)
    return None


def _references(root: Element) -> list[Reference]:
    """Return the files that an XML tells of, that of the first plane in front; itself is one.

    Raises
    ------
    SourceError
        If a UUID has two names, or a name two UUIDs.
    LimitError
        If there are too many.
    """
    planes = [children(image, "Pixels", "TiffData") for image in children(root, "Image")]
    said = [data for each in planes for data in each]
    first = next((data for each in planes[:1] for data in each if _is_first(data)), None)
    named = [_reference(data) for data in ([] if first is None else [first]) + said]
    references = list(dict.fromkeys(reference for reference in named if reference is not None))
    if len(references) > LIMITS.set_files:
        raise LimitError(
            f"the OME-TIFF set has {len(references)} files, more than the limit "
            f"set_files = {LIMITS.set_files}"
        )
    for told in ("uuid", "name"):
        values = [value for one in references if (value := getattr(one, told)) is not None]
        if len(set(values)) < len(values):
            raise SourceError("the OME-XML tells a file in two ways")
    return references


def _is_first(data: Element) -> bool:
    return not any(integer_in(data.get(f"First{axis}")) for axis in "ZCT")


def _self_among(references: Sequence[Reference], root: Element, name: str) -> Reference | None:
    """Return which of some files one is, by the UUID that it says, else by its name."""
    uuid = _uuid(root)
    for reference in references:
        if uuid is not None and reference.uuid is not None:
            if uuid == reference.uuid:
                return reference
        elif reference.name == name:
            return reference
    is_only = len(references) == 1 and (uuid is None or references[0].uuid is None)
    return references[0] if is_only else None
