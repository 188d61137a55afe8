"""Encodes a data set as the beginning of a DICOM file (PS3.10)."""

import re

from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_dataset, write_file_meta_info
from pydicom.uid import UID

from coverslip.dicom.allowlist import PUBLIC, Permit, enforce
from coverslip.dicom.positions import sequence

IMPLEMENTATION_CLASS_UID = "2.25.13191988685741552390534488482878093868"
"""Drawn once at random for coverslip (PS3.7 D.3.3.2)."""

PREAMBLE = bytes(128) + b"DICM"

_PER_FRAME_GROUPS = 0x5200, 0x9230
_ITEM_HEADER = 8
_NEWER = {"1.2.840.10008.1.2.8.1"}
"""Transfer syntaxes that encapsulate and are newer than pydicom's list of them."""


def encode(
    dataset: Dataset,
    transfer_syntax_uid: str,
    permit: Permit = PUBLIC,
    positions: bytes | None = None,
) -> bytes:
    """Return preamble, file meta information and data set, in Explicit VR Little Endian.

    What is missing to a complete file is group 7FE0: the core appends it.

    Parameters
    ----------
    dataset
        As `coverslip.dicom.wsm.build` returns it.
    transfer_syntax_uid
        How the frames are encoded; one that encapsulates.
    permit
        Under which profile the data set was built.
    positions
        All items of its last element, Per-frame Functional Groups, of which it holds the first.

    Raises
    ------
    PolicyError
        If the data set holds what the allow-list does not, pixel data among it.
    ValueError
        If the transfer syntax does not encapsulate frames, or the first item of ``positions`` is
        not the data set's.
    """
    enforce(dataset, permit)
    syntax = UID(transfer_syntax_uid)
    is_known = syntax.is_transfer_syntax and syntax.is_encapsulated
    if not is_known and syntax not in _NEWER:
        raise ValueError("the transfer syntax does not encapsulate frames")
    meta = FileMetaDataset()
    meta.FileMetaInformationVersion = b"\x00\x01"
    meta.MediaStorageSOPClassUID = dataset.SOPClassUID
    meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    meta.TransferSyntaxUID = syntax
    meta.ImplementationClassUID = UID(IMPLEMENTATION_CLASS_UID)
    meta.ImplementationVersionName = _version_name(dataset)
    stream = DicomBytesIO()
    stream.is_little_endian = True
    stream.is_implicit_VR = False
    stream.write(PREAMBLE)
    write_file_meta_info(stream, meta, enforce_standard=True)
    write_dataset(stream, dataset)
    header = stream.getvalue()
    return header if positions is None else _with_positions(header, positions)


def _with_positions(header: bytes, items: bytes) -> bytes:
    """Put all items in the place of the first, which the allow-list has judged."""
    first = items[: _ITEM_HEADER + int.from_bytes(items[4:_ITEM_HEADER], "little")]
    element = sequence(*_PER_FRAME_GROUPS, first)
    if not header.endswith(element):
        raise ValueError("the first item is not the data set's")
    return header[: -len(element)] + sequence(*_PER_FRAME_GROUPS, items)


def _version_name(dataset: Dataset) -> str:
    """Return ``COVERSLIP_<version>`` in at most 16 characters (PS3.5 6.2, SH).

    The version is the one that the data set gives for the de-identifying equipment.
    """
    name = str(dataset.ContributingEquipmentSequence[0].SoftwareVersions)
    return re.sub(r"[^0-9A-Z._+]", "_", name.upper())[:16].rstrip("._+")
