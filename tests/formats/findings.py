"""What every format must find of the texts of its slide."""

import tifffile

import coverslip
from coverslip.model import ItemKind


def items_of(built):
    return coverslip.open(built.path).description.metadata.items


def check_every_text_is_found(built, keys, plain):
    """Check that no text of any tag is lost, and that only known words are keys.

    ``keys`` must be among the items, ``plain`` must not.
    """
    with tifffile.TiffFile(built.path) as other:
        values = [tag.value for page in other.pages for tag in page.tags if tag.dtype in (1, 2)]
    texts = [text if isinstance(text, str) else bytes(text).decode("latin-1") for text in values]
    written = "\n".join(texts)
    items = items_of(built)
    seen = "\n".join(item.text.reveal() for item in items)
    planted = [i for i in built.identifiers if i in written or i.title() in written]
    assert len(planted) > 15
    assert [i for i in planted if i not in seen and i.title() not in seen] == []
    known = {item.key for item in items if item.key is not None}
    assert set(keys) <= known
    assert not known & {*plain, *built.identifiers}
    assert [item for item in items if item.kind is ItemKind.UNKNOWN and item.key is None]
