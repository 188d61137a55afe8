"""Text behind the zero that ends a description: other readers stop there, so must ours."""

import struct

import pytest
import tifffile

import coverslip
from coverslip.model import ItemKind
from tests.privacy.search import places_of, survivors
from tests.synth import FORMATS

PLANTED = "QUILLFEATHER Ottoline"
NAMES = ("scn", "indica-colour", "philips", "qptiff", "ome-j2k", "svs-jpeg-rgb", "trestle")


def with_slack(path):
    """Write the first description anew behind the end, with something behind its own end."""
    with tifffile.TiffFile(path) as tiff:
        tag, order, is_big = tiff.pages[0].tags[270], tiff.byteorder, tiff.is_bigtiff
        at, value, size = tag.offset, tag.valueoffset, tag.count
    data = bytearray(path.read_bytes())
    longer = data[value : value + size].rstrip(b"\0") + b"\0" + PLANTED.encode() + b"\0"
    struct.pack_into(order + ("QQ" if is_big else "II"), data, at + 4, len(longer), len(data))
    path.write_bytes(data + longer)


@pytest.mark.parametrize("name", NAMES)
def test_text_behind_a_description_is_found_and_changes_nothing_else(name, tmp_path):
    built = FORMATS[name](tmp_path)
    before = coverslip.open(built.path)
    with_slack(built.path)
    after = coverslip.open(built.path)
    assert (after.format, after.spacing) == (before.format, before.spacing)
    assert [level.ifd for level in after.levels] == [level.ifd for level in before.levels]
    new = [item for item in after.description.metadata.items if PLANTED in item.text.reveal()]
    assert [(item.place, item.key) for item in new] == [("IFD 0 ImageDescription", None)]
    assert new[0].kind in (ItemKind.UNKNOWN, ItemKind.TEXT)
    others = {(item.place, item.key, item.text) for item in before.description.metadata.items}
    assert others <= {(i.place, i.key, i.text) for i in after.description.metadata.items}


def test_text_behind_a_description_goes_nowhere(tmp_path):
    built = FORMATS["scn"](tmp_path)
    with_slack(built.path)
    coverslip.convert(built.path, tmp_path / "out")
    assert survivors([PLANTED, "QUILLFEATHER"], places_of(tmp_path / "out")) == set()
