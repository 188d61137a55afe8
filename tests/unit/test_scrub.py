import dataclasses
import hashlib
import math
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coverslip.deid import devices
from coverslip.deid.icc import rebuild_profile, srgb_profile
from coverslip.deid.policy import Policy, Profile
from coverslip.deid.scrub import CODES, Scrubbed, scrub
from coverslip.deid.stains import _KNOWN
from coverslip.deid.uids import RandomIdentity
from coverslip.dicom.allowlist import rules
from coverslip.errors import PolicyError
from coverslip.model import (
    AssociatedImage,
    CheckResult,
    Fate,
    ItemKind,
    LabelSide,
    OpticalPath,
    PixelChecks,
    RawMetadata,
    Region,
    Role,
    Slide,
    SourceItem,
    SourceText,
)
from coverslip.verification.forms import forms_of
from tests.unit.builders import slide

CANARY = "ZACHARIAS^QUILLFEATHER"
UIDS_OF_REGION = ("series_instance_uid", "pyramid_uid", "dimension_organization_uid")


def scrubbed(source: Slide) -> Scrubbed:
    return scrub(source, Policy(), RandomIdentity(), package_version="0.1.0")


def item(kind: ItemKind, text: str = CANARY, key: str | None = "Filename") -> SourceItem:
    return SourceItem(place="IFD 0 ImageDescription", key=key, kind=kind, text=SourceText(text))


def device(*texts: str) -> tuple[str, str]:
    metadata = RawMetadata(device=tuple(SourceText(text) for text in texts))
    clean = scrubbed(slide(metadata=metadata)).clean
    return clean.manufacturer, clean.manufacturer_model_name


@pytest.mark.parametrize("kind", ItemKind)
def test_each_kind_of_item_has_a_fate_and_no_value_goes_out(kind):
    source = slide(metadata=RawMetadata(items=(item(kind),), device=(SourceText(CANARY),)))

    result = scrubbed(source)

    assert CANARY not in repr(result)
    assert [f.kind for f in result.findings if f.place.startswith("IFD 0")] == [kind]


@given(st.lists(st.sampled_from(ItemKind), max_size=20))
def test_there_are_as_many_findings_as_things_found(kinds):
    label = AssociatedImage(ifd=3, role=Role.LABEL, image_width=10, image_length=10)
    metadata = RawMetadata(items=tuple(map(item, kinds)), icc_profile=srgb_profile())

    findings = scrubbed(slide(metadata=metadata, associated_images=(label,))).findings

    file_name, file_times, picture, profile = 1, 1, 1, 1
    assert len(findings) == len(kinds) + file_name + file_times + picture + profile
    assert all(isinstance(finding.fate, Fate) for finding in findings)


def test_file_name_and_times_are_always_found():
    places = {finding.place: finding for finding in scrubbed(slide()).findings}

    assert places["file name"].fate is Fate.REPLACED
    assert places["file name"].attribute == "SOPInstanceUID"
    assert places["file system times"].fate is Fate.DROPPED


@pytest.mark.parametrize("role", [Role.LABEL, Role.OVERVIEW, Role.THUMBNAIL])
def test_associated_images_are_dropped(role):
    picture = AssociatedImage(
        ifd=5, role=role, image_width=10, image_length=10, is_known_label=role is Role.LABEL
    )

    findings = scrubbed(slide(associated_images=(picture,))).findings

    assert (f"IFD 5 {role}", ItemKind.PICTURE, Fate.DROPPED) in [
        (finding.place, finding.kind, finding.fate) for finding in findings
    ]


def test_profile_of_the_slide_is_rebuilt():
    result = scrubbed(slide(metadata=RawMetadata(icc_profile=srgb_profile())))

    assert result.clean.icc_profile == rebuild_profile(srgb_profile())
    assert not result.clean.icc_is_synthetic
    assert result.findings[-1].fate is Fate.CLEANED
    assert result.findings[-1].attribute == "ICCProfile"


def test_unusable_profile_is_dropped_and_srgb_assumed():
    result = scrubbed(slide(metadata=RawMetadata(icc_profile=CANARY.encode() * 20)))

    assert result.clean.icc_profile == srgb_profile()
    assert result.clean.icc_is_synthetic
    assert result.findings[-1].place == "ICC profile"
    assert result.findings[-1].fate is Fate.DROPPED


def test_missing_profile_is_no_finding():
    result = scrubbed(slide())

    assert result.clean.icc_is_synthetic
    assert "ICC profile" not in [finding.place for finding in result.findings]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Aperio Leica Biosystems GT450 v1.0.1", ("Leica Biosystems", "Aperio GT 450")),
        ("Aperio Leica Biosystems GT450DX v1.1", ("Leica Biosystems", "Aperio GT 450 DX")),
        ("gt 450 dx", ("Leica Biosystems", "Aperio GT 450 DX")),
        ("ScanScope ID = AT2_1234", ("Leica Biosystems", "Aperio AT2")),
        ("ScanScope CS2", ("Leica Biosystems", "Aperio CS2")),
        ("ScanScope CS", ("Aperio", "ScanScope CS")),
        ("Aperio Image Library v11.2.1", ("Aperio", "Unknown")),
        ("Leica SCN400F;Leica SCN", ("Leica Biosystems", "SCN400 F")),
        ("NanoZoomer S360MD", ("Hamamatsu", "NanoZoomer S360MD")),
        ("C13220-01", ("Hamamatsu", "NanoZoomer S360")),
        ("C9600-12", ("Hamamatsu", "NanoZoomer 2.0-HT")),
        ("Hamamatsu", ("Hamamatsu", "Unknown")),
        ("PHILIPS UFS Scanner", ("Philips", "Ultra Fast Scanner")),
        ("VENTANA DP 200", ("Ventana", "DP 200")),
        ("Roche", ("Ventana", "Unknown")),
        ("3DHISTECH PANNORAMIC 1000", ("3DHISTECH", "Pannoramic 1000")),
        ("PerkinElmer Vectra Polaris", ("Akoya Biosciences", "PhenoImager HT")),
        ("GT4501", ("Unknown", "Unknown")),
        ("XAT2", ("Unknown", "Unknown")),
        ("Dr Philipson's scanner", ("Unknown", "Unknown")),
        ("", ("Unknown", "Unknown")),
    ],
)
def test_device_is_named_by_the_closed_vocabulary(text, expected):
    assert device(text) == expected


def test_model_in_a_later_text_wins_over_a_manufacturer_in_an_earlier_one():
    assert device("Aperio Image Library", "NanoZoomer S60") == ("Hamamatsu", "NanoZoomer S60")


@given(st.text(max_size=60))
def test_device_names_come_from_the_vocabulary_whatever_the_text_says(text):
    names = {"Unknown"}
    for row in (*devices._MODELS, *devices._MANUFACTURERS):
        names.update(row[:-1])

    assert set(device(text)) <= names


def test_device_item_that_gave_the_model_is_cleaned_and_another_is_dropped():
    items = (item(ItemKind.DEVICE, "GT450"), item(ItemKind.DEVICE, "SS7731"))
    metadata = RawMetadata(items=items, device=(SourceText("GT450"),))

    findings = scrubbed(slide(metadata=metadata)).findings

    assert [(f.fate, f.attribute) for f in findings if f.kind is ItemKind.DEVICE] == [
        (Fate.CLEANED, "ManufacturerModelName"),
        (Fate.DROPPED, None),
    ]


def channels(*names: str, policy: Policy | None = None) -> list[str | None]:
    paths = tuple(OpticalPath(is_fluorescence=True, name=SourceText(name)) for name in names)
    source = slide(optical_paths=paths)
    policy = policy or Policy(profile=Profile.RESEARCH)
    clean = scrub(source, policy, RandomIdentity(), package_version="0.1.0").clean
    return [path.description for path in clean.optical_paths]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("dapi", "DAPI"),
        ("Cy-3.5", "Cy3.5"),
        ("AF488", "Alexa Fluor 488"),
        ("ALEXA FLUOR 647", "Alexa Fluor 647"),
        ("opal_520", "Opal 520"),
        ("DAPI 4711", "Channel 1"),
        ("Opal 521", "Channel 1"),
        (CANARY, "Channel 1"),
        ("", "Channel 1"),
    ],
)
def test_channel_is_named_after_its_dye_or_numbered(text, expected):
    assert channels(text) == [expected]


@given(st.lists(st.text(max_size=20), min_size=1, max_size=5))
def test_channel_names_come_from_the_vocabulary_whatever_the_slide_says(texts):
    named = channels(*texts)

    assert all(name in _KNOWN.values() or name == f"Channel {n}" for n, name in enumerate(named, 1))
    for name in {*_KNOWN.values(), *named}:
        rule = rules()["OpticalPathSequence.OpticalPathDescription"]
        assert rule.allows(name, Profile.RESEARCH)
        assert forms_of("research", ())["OpticalPathDescription"](name)


def test_public_says_nothing_of_what_a_channel_is_called():
    assert channels("DAPI", CANARY, policy=Policy()) == [None, None]


def test_item_that_gave_a_dye_is_cleaned_and_another_is_dropped():
    items = (item(ItemKind.TEXT, "dapi", "@Name"), item(ItemKind.TEXT, CANARY, "@Name"))
    paths = tuple(OpticalPath(is_fluorescence=True, name=item.text) for item in items)
    source = slide(metadata=RawMetadata(items=items), optical_paths=paths)

    def fates(policy: Policy) -> list[tuple[Fate, str | None]]:
        result = scrub(source, policy, RandomIdentity(), package_version="0.1.0")
        return [(f.fate, f.attribute) for f in result.findings if f.kind is ItemKind.TEXT]

    assert fates(Policy(profile=Profile.RESEARCH)) == [
        (Fate.CLEANED, "OpticalPathDescription"),
        (Fate.DROPPED, None),
    ]
    assert fates(Policy()) == [(Fate.DROPPED, None)] * 2


def test_every_date_is_a_plain_dummy():
    clean = scrubbed(slide()).clean

    assert (clean.study_date, clean.study_time) == ("19000101", "000000")
    assert (clean.content_date, clean.content_time) == ("19000101", "000000")
    assert clean.acquisition_date_time == "19000101000000"
    assert clean.longitudinal_temporal_information_modified == "REMOVED"


def test_only_codes_of_work_that_was_done_are_claimed():
    assert scrubbed(slide()).clean.deidentification_codes == CODES == ("113100", "113105")


def test_method_names_package_profile_and_policy():
    first, second = scrubbed(slide()).clean.deidentification_method

    assert first == "coverslip 0.1.0 profile=public"
    assert second == f"policy sha256:{Policy().digest()[:16]}"


def test_no_two_identifiers_are_the_same_and_no_two_runs_share_one():
    def identifiers(clean):
        values = dataclasses.asdict(clean)
        everywhere = [values, *values["regions"]]
        uids = [uid for part in everywhere for name, uid in part.items() if name.endswith("_uid")]
        names = [value for name, value in values.items() if name.endswith("identifier")]
        uids += [*clean.sop_instance_uids, *clean.associated_sop_instance_uids]
        return [*uids, *names, clean.patient_id]

    first, second = (identifiers(scrubbed(slide(levels=3)).clean) for _ in range(2))

    assert len(first) == 6 + 2 + 3 + 3 + 1
    assert len({*first, *second}) == 2 * len(first)


def test_each_region_has_uids_of_its_own_and_its_place_rounded():
    regions = (Region(corner_mm=(20.0449, 10.26)), Region(), Region(corner_mm=(20.0449, 31.0)))

    clean = scrubbed(slide(regions=regions)).clean

    uids = [getattr(region, name) for region in clean.regions for name in UIDS_OF_REGION]
    assert len(set(uids)) == 9
    assert [region.corner_mm for region in clean.regions] == [(20.0, 10.3), None, (20.0, 31.0)]


@pytest.mark.parametrize("corner_mm", [(4711.1234, 5.0), (5.0, -1.0), (math.nan, 5.0)])
def test_place_beside_every_glass_does_not_go_out(corner_mm):
    clean = scrubbed(slide(regions=(Region(corner_mm=corner_mm), Region()))).clean

    assert clean.regions[0].corner_mm is None


def test_place_of_the_only_region_does_not_go_out():
    clean = scrubbed(slide(regions=(Region(corner_mm=(20.0, 10.0)),))).clean

    assert clean.regions[0].corner_mm is None


@pytest.mark.parametrize(
    ("power", "expected"),
    [
        (40.0, 40.0),
        (None, None),
        (20.123456789, 20.12),
        (0.0, None),
        (0.001, None),
        (-20.0, None),
        (20230517.0, None),
        (math.inf, None),
        (math.nan, None),
    ],
)
def test_objective_power_is_kept_if_it_is_one(power, expected):
    assert scrubbed(slide(objective_power=power)).clean.objective_power == expected


def test_label_side_does_not_change_what_is_clean():
    clean = scrubbed(slide(label_side=LabelSide.TOP)).clean

    assert re.fullmatch(r"C-[0-9A-Z]{13}", clean.container_identifier)
    assert clean.patient_name == f"{clean.patient_id}^"


def test_version_that_is_none_is_refused():
    with pytest.raises(PolicyError, match="version"):
        scrub(slide(), Policy(), RandomIdentity(), package_version=f"1.0 {CANARY}")


@pytest.mark.parametrize(("name", "alias"), [("research", "pseudonymised"), ("care", "clinical")])
def test_profiles_have_aliases(name, alias):
    assert Policy(profile=Profile(alias)) == Policy(profile=Profile(name))


@pytest.mark.parametrize("name", ["public", "anonymised"])
def test_public_profile_has_an_alias(name):
    assert Policy(profile=Profile(name)) == Policy()


def test_profile_of_another_name_is_refused():
    with pytest.raises(PolicyError, match="no profile"):
        Profile("secret")


@pytest.mark.parametrize("mpp_um", [0, -0.25, 0.0009, 1000.1, 2e8, math.inf, math.nan])
def test_impossible_spacing_is_refused(mpp_um):
    with pytest.raises(PolicyError, match=r"from 0\.001 to 1000"):
        Policy(mpp_um=mpp_um)


@pytest.mark.parametrize("frames", [0, 100, 1000, 8208, True, 512.0, "natural", None])
def test_impossible_frames_are_refused(frames):
    with pytest.raises(PolicyError, match="multiple of 16"):
        Policy(ndpi_frames=frames)


@pytest.mark.parametrize("quality", [0, 101, -5, True, 85.0, "85"])
def test_impossible_quality_is_refused(quality):
    with pytest.raises(PolicyError, match="from 1 to 100"):
        Policy(allow_recode=quality)


def test_digest_is_that_of_the_policy_alone():
    assert Policy().digest() == Policy(profile=Profile("anonymised")).digest()
    assert Policy().digest() != Policy(mpp_um=0.25).digest()
    canonical = (
        b'{"accession":"empty","allow_pixel":false,"allow_recode":null,"anatomy":"drop",'
        b'"colour":null,"dates":"drop","deflated_frames":false,"j2k_ycc":null,"keep":[],"label":"drop","link":"none","max_instance_size":null,'
        b'"mpp_um":null,"ndpi_frames":"auto",'
        b'"overview":"drop","pixels_attested":null,"profile":"public","project":"","sparse":false,"thumbnail":"drop","time":"drop",'
        b'"year":"drop"}'
    )
    assert Policy().digest() == hashlib.sha256(canonical).hexdigest()


@pytest.mark.parametrize("who", ["", "  ", "Dr\nDoe", "x" * 65])
def test_attestation_without_a_name_is_refused(who):
    with pytest.raises(PolicyError, match="named in 1 to 64"):
        Policy(pixels_attested=who)


def test_choice_for_the_overview_that_is_not_there_is_refused():
    with pytest.raises(PolicyError, match="no such choice"):
        Policy(overview="blur")  # type: ignore[arg-type]


_PASSED, _ATTESTED, _NOT_RUN = CheckResult.PASSED, CheckResult.ATTESTED, CheckResult.NOT_RUN


@pytest.mark.parametrize(
    ("bar_codes", "text", "is_masked", "is_claimed"),
    [
        (_PASSED, _NOT_RUN, False, True),
        (_PASSED, _PASSED, False, True),
        (_PASSED, _PASSED, True, True),
        (_PASSED, _NOT_RUN, True, False),
        (_NOT_RUN, _NOT_RUN, False, False),
        (_NOT_RUN, _PASSED, False, False),
        (_ATTESTED, _ATTESTED, True, True),
    ],
)
def test_clean_pixels_are_claimed_only_where_they_were_searched(
    bar_codes, text, is_masked, is_claimed
):
    pixels = PixelChecks(bar_codes=bar_codes, text=text, is_overview_masked=is_masked)

    result = scrub(slide(), Policy(), RandomIdentity(), package_version="0.1.0", pixels=pixels)

    assert ("113101" in result.clean.deidentification_codes) == is_claimed


def test_masked_overview_has_a_fate_of_its_own():
    images = tuple(
        AssociatedImage(ifd=ifd, role=role, image_width=10, image_length=10)
        for ifd, role in ((2, Role.LABEL), (3, Role.OVERVIEW))
    )
    source = slide(associated_images=images)

    result = scrub(
        source,
        Policy(),
        RandomIdentity(),
        package_version="0.1.0",
        pixels=PixelChecks(is_overview_masked=True),
    )

    fates = {f.place: f.fate for f in result.findings if f.kind is ItemKind.PICTURE}
    assert fates == {"IFD 2 unrecognised picture": Fate.DROPPED, "IFD 3 OVERVIEW": Fate.MASKED}
