"""Pieces that several modules are built of: codes, and what the operator gave."""

from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from coverslip.model import CleanMetadata


def code(value: str, scheme: str, meaning: str) -> Sequence:
    """Return a code sequence of one item."""
    item = Dataset()
    item.CodeValue = value
    item.CodingSchemeDesignator = scheme
    item.CodeMeaning = meaning
    return Sequence([item])


def given_text(clean: CleanMetadata, path: str) -> str:
    """Return the operator's text for an attribute that may be empty."""
    return clean.given[path].reveal() if path in clean.given else ""


def copy_given(ds: Dataset, clean: CleanMetadata, *keywords: str, parent: str = "") -> None:
    """Add those of some attributes of Type 3 that the operator gave a text for.

    ``parent`` is the path of the sequence whose item the data set is, with a point behind it.
    """
    for keyword in keywords:
        path = f"{parent}{keyword}"
        if path in clean.given:
            setattr(ds, keyword, clean.given[path].reveal())


def given_item(clean: CleanMetadata, path: str, *keywords: str) -> Dataset:
    """Return an item of a sequence that holds what the operator gave for it, if anything."""
    item = Dataset()
    copy_given(item, clean, *keywords, parent=f"{path}.")
    return item


def issuer(clean: CleanMetadata, path: str) -> Sequence:
    """Return who issued an identifier (PS3.3 10.15), an empty sequence if nobody said."""
    item = given_item(clean, path, "LocalNamespaceEntityID")
    return Sequence([item] if item else [])
