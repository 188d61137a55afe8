"""The codes that an instance may hold, by the sequence that they stand in.

Those of the modules and of PS3.16 TID 8001 and CID 7050 are written down once more here; those that
an operator may give are in `coverslip.codes`, which is nobody's table but the standard's.
"""

import functools
from collections.abc import Mapping

from coverslip.codes import codes

Triple = tuple[str, str, str]
"""Code Value, Coding Scheme Designator and Code Meaning."""

_PUBLIC: frozenset[Triple] = frozenset(
    [
        ("113100", "DCM", "Basic Application Confidentiality Profile"),
        ("113101", "DCM", "Clean Pixel Data Option"),
        ("113104", "DCM", "Clean Structured Content Option"),
        ("113105", "DCM", "Clean Descriptors Option"),
    ]
)
_RESEARCH: frozenset[Triple] = frozenset(
    [
        ("113106", "DCM", "Retain Longitudinal Temporal Information Full Dates Option"),
        ("113107", "DCM", "Retain Longitudinal Temporal Information Modified Dates Option"),
        ("113108", "DCM", "Retain Patient Characteristics Option"),
        ("113109", "DCM", "Retain Device Identity Option"),
        ("113112", "DCM", "Retain Institution Identity Option"),
    ]
)
_METHODS = "DeidentificationMethodCodeSequence"


def _listed(*names: str) -> frozenset[Triple]:
    return frozenset(
        (value, "SCT", meaning) for name in names for value, meaning in codes(name).items()
    )


_BY_SEQUENCE: Mapping[str, frozenset[Triple]] = {
    _METHODS: _PUBLIC | _RESEARCH,
    "PurposeOfReferenceCodeSequence": frozenset([("109104", "DCM", "De-identifying Equipment")]),
    "ContainerTypeCodeSequence": frozenset([("433466003", "SCT", "Microscope slide")]),
    "IlluminationTypeCodeSequence": frozenset(
        [
            ("111743", "DCM", "Epifluorescence illumination"),
            ("111744", "DCM", "Brightfield illumination"),
        ]
    ),
    "IlluminationColorCodeSequence": frozenset([("414298005", "SCT", "Full Spectrum")]),
    "SpecimenTypeCodeSequence": _listed("specimen_type"),
    "PrimaryAnatomicStructureSequence": _listed("anatomy"),
    "ConceptNameCodeSequence": frozenset(
        [
            ("121041", "DCM", "Specimen Identifier"),
            ("111701", "DCM", "Processing type"),
            ("111703", "DCM", "Processing step description"),
            ("111718", "DCM", "Location of Specimen"),
            ("424361007", "SCT", "Using substance"),
            ("430863003", "SCT", "Embedding medium"),
            ("430864009", "SCT", "Tissue Fixative"),
        ]
    ),
    "ConceptCodeSequence": _listed("stains", "fixative", "embedding")
    | {
        ("127790008", "SCT", "Staining"),
        ("9265001", "SCT", "Specimen processing"),
    },
}
_ALL = frozenset[Triple]().union(*_BY_SEQUENCE.values())
VALUES, DESIGNATORS, MEANINGS = (frozenset(triple[part] for triple in _ALL) for part in range(3))


@functools.cache
def triples_of(profile: str) -> Mapping[str, frozenset[Triple]]:
    """Return the codes that may stand in each sequence of codes, under a profile."""
    return {**_BY_SEQUENCE, _METHODS: _PUBLIC} if profile == "public" else _BY_SEQUENCE
