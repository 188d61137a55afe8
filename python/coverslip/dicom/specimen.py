"""The Specimen module: what lies on the glass, and how it was prepared."""

from collections.abc import Iterator

from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from coverslip.codes import codes
from coverslip.dicom.content import code, copy_given, given_item, issuer
from coverslip.model import CleanMetadata

_DESCRIPTION = "SpecimenDescriptionSequence."
_STAINING = ("127790008", "SCT", "Staining")
_PROCESSING = ("9265001", "SCT", "Specimen processing")


def specimen(ds: Dataset, clean: CleanMetadata) -> None:
    """Add the Specimen module (PS3.3 C.7.6.22)."""
    ds.ContainerIdentifier = clean.container_identifier
    ds.IssuerOfTheContainerIdentifierSequence = issuer(
        clean, "IssuerOfTheContainerIdentifierSequence"
    )
    if other := given_item(clean, "AlternateContainerIdentifierSequence", "ContainerIdentifier"):
        other.IssuerOfTheContainerIdentifierSequence = Sequence()
        ds.AlternateContainerIdentifierSequence = Sequence([other])
    ds.ContainerTypeCodeSequence = code("433466003", "SCT", "Microscope slide")
    ds.SpecimenDescriptionSequence = Sequence([_description(clean)])


def _description(clean: CleanMetadata) -> Dataset:
    item = Dataset()
    item.SpecimenIdentifier = clean.specimen_identifier
    item.SpecimenUID = clean.specimen_uid
    item.IssuerOfTheSpecimenIdentifierSequence = issuer(
        clean, f"{_DESCRIPTION}IssuerOfTheSpecimenIdentifierSequence"
    )
    described = ("SpecimenShortDescription", "SpecimenDetailedDescription")
    copy_given(item, clean, *described, parent=_DESCRIPTION)
    item.SpecimenPreparationSequence = Sequence(_steps(clean))
    if clean.specimen_type is not None:
        item.SpecimenTypeCodeSequence = _listed("specimen_type", clean.specimen_type)
    if clean.anatomy is not None:
        item.PrimaryAnatomicStructureSequence = _listed("anatomy", clean.anatomy)
    localization = "SpecimenLocalizationContentItemSequence"
    if place := given_item(clean, f"{_DESCRIPTION}{localization}", "TextValue"):
        place.ValueType = "TEXT"
        place.ConceptNameCodeSequence = code("111718", "DCM", "Location of Specimen")
        setattr(item, localization, Sequence([place]))
    return item


def _steps(clean: CleanMetadata) -> Iterator[Dataset]:
    """Yield how the specimen was processed and stained, as far as that is known."""
    done = [("Fixation", clean.fixative), ("Embedding", clean.embedding)]
    names = [name for name, with_what in done if with_what is not None]
    processing = []
    if names:
        # Others that read the step demand a description of it.
        name = ("111703", "DCM", "Processing step description")
        processing.append(_text(name, " and ".join(names).capitalize()))
    if clean.fixative is not None:
        name = ("430864009", "SCT", "Tissue Fixative")
        processing.append(_coded(name, _listed("fixative", clean.fixative)))
    if clean.embedding is not None:
        name = ("430863003", "SCT", "Embedding medium")
        processing.append(_coded(name, _listed("embedding", clean.embedding)))
    if processing:
        yield _step(clean, _PROCESSING, processing)
    substance = ("424361007", "SCT", "Using substance")
    if clean.stains:
        stains = [_coded(substance, _listed("stains", stain)) for stain in clean.stains]
        yield _step(clean, _STAINING, stains)


def _step(clean: CleanMetadata, kind: tuple[str, str, str], content: list[Dataset]) -> Dataset:
    """Return one step of the preparation (PS3.16 TID 8001, TID 8003)."""
    identifier = _text(("121041", "DCM", "Specimen Identifier"), clean.specimen_identifier)
    step = Dataset()
    step.SpecimenPreparationStepContentItemSequence = Sequence(
        [identifier, _coded(("111701", "DCM", "Processing type"), code(*kind)), *content]
    )
    return step


def _text(name: tuple[str, str, str], value: str) -> Dataset:
    """Return a content item whose value is a text that is known here."""
    item = Dataset()
    item.ValueType = "TEXT"
    item.ConceptNameCodeSequence = code(*name)
    item.TextValue = value
    return item


def _coded(name: tuple[str, str, str], value: Sequence) -> Dataset:
    """Return a content item whose value is a code (PS3.3 10.2)."""
    item = Dataset()
    item.ValueType = "CODE"
    item.ConceptNameCodeSequence = code(*name)
    item.ConceptCodeSequence = value
    return item


def _listed(name: str, value: str) -> Sequence:
    """Return a code of SNOMED CT from one of the closed lists."""
    return code(value, "SCT", codes(name)[value])
