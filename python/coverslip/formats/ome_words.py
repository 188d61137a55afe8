"""The words of OME-XML: which of its elements and attributes are texts, and what units mean."""

from coverslip.formats.xml_items import Vocabulary
from coverslip.model import ItemKind

UNIT_MM = {"pm": 1e-9, "\u00c5": 1e-7, "\u212b": 1e-7, "nm": 1e-6, "um": 1e-3, "\u00b5m": 1e-3,
            "\u03bcm": 1e-3, "mm": 1.0, "cm": 10.0, "m": 1e3, "in": 25.4}  # fmt: skip
"""Millimetres in a unit; of micro and of angstrom there are two characters each."""

VOCABULARY = Vocabulary(
    kinds={
        "UUID@FileName": ItemKind.NAME,
        "BinaryOnly@MetadataFile": ItemKind.NAME,
        "BinaryOnly@UUID": ItemKind.IDENTIFIER,
        "File@Name": ItemKind.NAME,
        "UUID": ItemKind.IDENTIFIER,
        "OME@UUID": ItemKind.IDENTIFIER,
        "OME@Creator": ItemKind.DEVICE,
        "Image@Name": ItemKind.TEXT,
        "@Name": ItemKind.TEXT,
        "@Fluor": ItemKind.TEXT,
        "@ID": ItemKind.TEXT,
        "@Description": ItemKind.TEXT,
        "Description": ItemKind.TEXT,
        "AcquisitionDate": ItemKind.DATE,
        "AcquiredDate": ItemKind.DATE,
        "@FirstName": ItemKind.PERSON,
        "@MiddleName": ItemKind.PERSON,
        "@LastName": ItemKind.PERSON,
        "@UserName": ItemKind.PERSON,
        "@Email": ItemKind.PERSON,
        "@Institution": ItemKind.PLACE,
        "@SerialNumber": ItemKind.DEVICE,
        "@LotNumber": ItemKind.DEVICE,
        "@Manufacturer": ItemKind.DEVICE,
        "@Model": ItemKind.DEVICE,
        "@Text": ItemKind.TEXT,
        "@Namespace": ItemKind.TEXT,
        "@Annotator": ItemKind.PERSON,
        "@ExternalIdentifier": ItemKind.IDENTIFIER,
        "BinData": ItemKind.UNKNOWN,
        "@schemaLocation": ItemKind.TEXT,
    },
    plain=frozenset(
        {
            *("@SizeX", "@SizeY", "@SizeZ", "@SizeC", "@SizeT", "@SamplesPerPixel", "@Type"),
            *("@PhysicalSizeX", "@PhysicalSizeY", "@PhysicalSizeZ", "@PhysicalSizeXUnit"),
            *("@PhysicalSizeYUnit", "@PhysicalSizeZUnit", "@SignificantBits", "@DimensionOrder"),
            *("@BigEndian", "@Interleaved", "@IFD", "@PlaneCount", "@FirstZ", "@FirstC", "@FirstT"),
            *("@TheZ", "@TheC", "@TheT", "@NominalMagnification", "@CalibratedMagnification"),
            *("@LensNA", "@Color", "@ExcitationWavelength", "@ExcitationWavelengthUnit"),
            *("@EmissionWavelength", "@EmissionWavelengthUnit"),
        }
    ),
    values=frozenset(
        {
            *("true", "false", "uint8", "uint16", "int8", "int16", "uint32", "int32", "float"),
            *("double", "XYZCT", "XYZTC", "XYCZT", "XYCTZ", "XYTZC", "XYTCZ", "pixel"),
            *("reference frame", *UNIT_MM),
        }
    ),
    structure=frozenset(
        {
            *("OME", "BinaryOnly", "Image", "Pixels", "Channel", "TiffData", "LightPath", "Plane"),
            *("Experimenter", "ExperimenterRef", "ExperimenterGroup", "Project", "Dataset"),
            *("Instrument", "InstrumentRef", "Microscope", "Objective", "ObjectiveSettings"),
            *("Detector", "StructuredAnnotations", "AnnotationRef", "ROI", "ROIRef", "Union"),
            *("Plate", "Well", "WellSample", "Folder", "ImageRef", "DatasetRef"),
        }
    ),
)
