"""What the standard lets an instance hold, with identity or without, written down once more.

From PS3.3 A.32.8 and PS3.15 Table E.1-1, not from the writer's table: a mistake has to be made
twice to leave the house. Texts are in `coverslip.verification.forms`, each with what it may say.
"""

import functools
import re
from collections.abc import Mapping
from dataclasses import dataclass

from coverslip.verification.coded import Triple, triples_of
from coverslip.verification.forms import ANY_UID, ANYTHING, DATE, DATE_TIME, Form, forms_of
from coverslip.verification.numbers import FILE_META as META_NUMBERS
from coverslip.verification.numbers import NUMBERS

SEQUENCES = frozenset(
    [
        "DeidentificationMethodCodeSequence",
        "ContributingEquipmentSequence",
        "PurposeOfReferenceCodeSequence",
        "DimensionOrganizationSequence",
        "DimensionIndexSequence",
        "IssuerOfTheContainerIdentifierSequence",
        "ContainerTypeCodeSequence",
        "AcquisitionContextSequence",
        "SpecimenDescriptionSequence",
        "IssuerOfTheSpecimenIdentifierSequence",
        "SpecimenPreparationSequence",
        "SpecimenPreparationStepContentItemSequence",
        "ConceptNameCodeSequence",
        "ConceptCodeSequence",
        "SpecimenTypeCodeSequence",
        "PrimaryAnatomicStructureSequence",
        "TotalPixelMatrixOriginSequence",
        "OpticalPathSequence",
        "IlluminationTypeCodeSequence",
        "IlluminationColorCodeSequence",
        "SharedFunctionalGroupsSequence",
        "PerFrameFunctionalGroupsSequence",
        "PixelMeasuresSequence",
        "WholeSlideMicroscopyImageFrameTypeSequence",
        "FrameContentSequence",
        "PlanePositionSlideSequence",
        "OpticalPathIdentificationSequence",
    ]
)
NO_TEXTS = SEQUENCES | NUMBERS.keys() | {"ICCProfile"}
"""Keywords of sequences, numbers and bytes, wherever they stand."""

FILE_META = META_NUMBERS.keys() | {"FileMetaInformationVersion"}
"""The same of file meta information."""

_EMPTY = frozenset(
    [
        "IssuerOfTheContainerIdentifierSequence",
        "IssuerOfTheSpecimenIdentifierSequence",
        "AcquisitionContextSequence",
    ]
)
"""Of Type 2, so they are there, and must say nothing."""

_REQUIRED = frozenset(
    [
        "SOPClassUID",
        "SOPInstanceUID",
        "StudyInstanceUID",
        "SeriesInstanceUID",
        "FrameOfReferenceUID",
        "ImageType",
        "Modality",
        "Manufacturer",
        "ContainerIdentifier",
        "SpecimenDescriptionSequence",
        "OpticalPathSequence",
        "Rows",
        "Columns",
        "NumberOfFrames",
        "TotalPixelMatrixColumns",
        "TotalPixelMatrixRows",
        "SharedFunctionalGroupsSequence",
        "PatientIdentityRemoved",
        "BurnedInAnnotation",
        "SpecimenLabelInImage",
    ]
)
_METHOD = frozenset(
    [
        "DeidentificationMethod",
        "DeidentificationMethodCodeSequence",
        "LongitudinalTemporalInformationModified",
    ]
)
"""Of Type 1 in the IOD, or demanded by PS3.15 E.1.1: these where identity was removed."""

_IDENTIFYING = frozenset(
    [
        "OtherPatientIDsSequence",
        "IssuerOfAccessionNumberSequence",
        "AlternateContainerIdentifierSequence",
        "SpecimenLocalizationContentItemSequence",
        "UDISequence",
    ]
)
"""Sequences that may be there besides where identity was not removed."""
_DEVICE = "113109"

IS_DUMMY_TIME = re.compile(r"(19|20)\d\d0101(000000)?|000000")
"""What dates and times say where they were removed: at most a year."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """What an instance may hold and must, by what it says of itself."""

    profile: str
    claims: frozenset[str]
    """Codes of CID 7050."""
    forms: Mapping[str, Form]
    """What each value of a text may be."""
    others: frozenset[str]
    """What may be there and is no text."""
    codes: Mapping[str, frozenset[Triple]]
    """What may stand in sequences of codes."""
    empty: frozenset[str]
    """Sequences without items."""
    required: frozenset[str]
    """What must be there and say something."""

    @property
    def identity_removed(self) -> bool:
        """Whether the instance says that nobody is named in it."""
        return self.profile != "care"

    @property
    def given(self) -> frozenset[str]:
        """What may say anything, any UID or day: a check knows of it only that it was given."""
        any_of_it = (ANYTHING, ANY_UID, DATE, DATE_TIME)
        free = {key for key, form in self.forms.items() if form in any_of_it}
        return (self.others - NO_TEXTS) | free


@functools.lru_cache(maxsize=64)
def rules_of(profile: str, claims: frozenset[str]) -> Rules:
    """Return the rules for instances that say that they were made under a profile."""
    is_care = profile == "care"
    has_device = profile == "research" and _DEVICE in claims
    more = _IDENTIFYING if is_care else {"UDISequence"} if has_device else ()
    return Rules(
        profile=profile,
        claims=claims,
        forms=forms_of(profile, claims),
        others=NO_TEXTS.union(more),
        codes=triples_of(profile),
        empty=frozenset({"AcquisitionContextSequence"}) if is_care else _EMPTY,
        required=_REQUIRED if is_care else _REQUIRED | _METHOD,
    )
