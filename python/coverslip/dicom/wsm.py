"""Builds the data set of a VL Whole Slide Microscopy Image, from nothing."""

from pydicom.dataset import Dataset

from coverslip.dicom import modules
from coverslip.dicom.allowlist import Permit
from coverslip.dicom.positions import MOST_ITEM_BYTES, encoded
from coverslip.dicom.specimen import specimen
from coverslip.model import CleanMetadata, InstanceSpec, Profile

MAX_FRAME_SIZE = 65535  # Rows and Columns are US


def build(clean: CleanMetadata, spec: InstanceSpec) -> Dataset:
    """Return all attributes of an instance except those of group 7FE0.

    The allow-list judges them where bytes are made of them, in `coverslip.dicom.part10.encode`.

    Parameters
    ----------
    clean
        What may be written about the slide.
    spec
        What this level or overview adds: numbers, and how the frames are encoded.

    Raises
    ------
    ValueError
        If the numbers contradict each other.
    """
    _check(clean, spec)
    ds = Dataset()
    modules.patient(ds, clean)
    modules.clinical_trial_subject(ds, clean)
    modules.general_study(ds, clean)
    modules.series(ds, clean, spec)
    modules.frame_of_reference(ds, clean)
    modules.enhanced_general_equipment(ds, clean)
    modules.sop_common(ds, clean, spec)
    modules.multi_resolution_pyramid(ds, clean, spec)
    modules.slide_label(ds, clean, spec)
    modules.acquisition_context(ds)
    modules.image_pixel(ds, spec)
    modules.whole_slide_microscopy_image(ds, clean, spec)
    modules.optical_path(ds, clean, spec)
    specimen(ds, clean)
    modules.multi_frame_functional_groups(ds, clean, spec)
    modules.multi_frame_dimension(ds, clean, spec)
    return ds


def positions(clean: CleanMetadata, spec: InstanceSpec) -> bytes | None:
    """Return the items of Per-frame Functional Groups of a sparse level, ``None`` of others."""
    if spec.frame_numbers is None:
        return None
    return encoded(modules.frame_positions(clean, spec))


def position_bytes(spec: InstanceSpec) -> int:
    """Return how many bytes the place of a frame takes in the header, at most."""
    return 0 if spec.frame_numbers is None else MOST_ITEM_BYTES


def permit(clean: CleanMetadata) -> Permit:
    """Return what the allow-list has to know of the metadata that it judges."""
    return Permit(profile=clean.profile, given=clean.given)


def _check(clean: CleanMetadata, spec: InstanceSpec) -> None:
    if spec.sop_instance_uid not in clean.sop_instance_uids + clean.associated_sop_instance_uids:
        raise ValueError("the SOP Instance UID is not one of the slide's")
    if spec.is_as_scanned and clean.profile is not Profile.CARE:
        raise ValueError("a label goes out under the profile care only")
    if not (0 < spec.rows <= MAX_FRAME_SIZE and 0 < spec.columns <= MAX_FRAME_SIZE):
        raise ValueError("a frame has between 1 and 65535 rows and columns")
    numbers, most = spec.frame_numbers, spec.grid_count
    if numbers is None and (spec.frame_count != most or spec.frame_count < 1):
        raise ValueError("TILED_FULL needs one frame for every tile of the grid")
    if numbers is not None:
        is_in_order = bool((numbers[1:] > numbers[:-1]).all())
        if not (0 < spec.frame_count == len(numbers) < most and is_in_order and numbers[-1] < most):
            raise ValueError("TILED_SPARSE needs some tiles of the grid, each once and in order")
    part = spec.part
    if part is not None and not 0 <= spec.frames.start < spec.frames.stop <= spec.frame_count:
        raise ValueError("a part has some of the frames of its level")
    if (spec.focal_planes > 1) != (spec.plane_distance_um is not None):
        raise ValueError("several focal planes and their distance belong together")
