"""What becomes of dates and times of day."""

from datetime import date

import pydicom
import pytest

import coverslip
from tests.interop import readers
from tests.privacy.given import codes_of, convert, custody, header


def test_research_without_dates_does_not_claim_to_have_moved_any(slide, tmp_path):
    given = custody(tmp_path, study_date="", acquisition_date="")
    dataset = header(convert(slide, tmp_path / "out", "research", given))

    assert codes_of(dataset) == ["113100", "113101", "113105"]
    assert dataset.StudyDate == "19000101"


def test_dates_move_by_whole_weeks_and_keep_their_distance(slide, tmp_path):
    def dates(name, **changes):
        result = convert(slide, tmp_path / name, "research", custody(tmp_path, **changes))
        dataset = header(result)
        return [date.fromisoformat(dataset[k].value) for k in ("StudyDate", "ContentDate")]

    study, content = dates("first")
    assert (content - study).days == 2
    moved = (date(2023, 5, 17) - study).days
    assert moved % 7 == 0
    assert 7 <= moved <= 521 * 7
    later, _ = dates("later", study_date="2024-02-29", accession_number="B24-1")
    assert (later - study).days == (date(2024, 2, 29) - date(2023, 5, 17)).days
    other, _ = dates("other", patient_id="MRN-7719205")
    assert other != study


@pytest.mark.parametrize("dates", ["shift", "full"])
def test_research_keeps_the_time_of_the_acquisition_if_asked(dates, slide, tmp_path, tool):
    given = custody(tmp_path)
    result = convert(slide, tmp_path / "out", "research", given, dates=dates, time="keep")
    dataset = header(result)
    assert dataset.AcquisitionDateTime == dataset.ContentDate + "154208"
    assert (dataset.ContentDate == "20230519") == (dates == "full")
    assert (dataset.StudyTime, dataset.ContentTime) == ("000000", "000000")
    assert readers.dciodvfy(result.instances[0].path, tool("dciodvfy")) == []
    report = coverslip.verify(tmp_path / "out", slide.path, given=["154208", "143107"])
    assert [str(one) for one in report.found] == []
    plain = convert(slide, tmp_path / "plain", "research", custody(tmp_path), dates=dates)
    assert header(plain).AcquisitionDateTime[8:] == "000000"


def test_public_keeps_the_year_if_asked_and_nothing_else_of_a_date(slide, tmp_path):
    given = custody(tmp_path, key=None)
    dataset = header(convert(slide, tmp_path / "out", "public", given, year="keep"))

    assert dataset.AcquisitionDateTime == "20230101000000"
    assert dataset.StudyDate == dataset.ContentDate == "19000101"


def test_date_of_the_calibration_moves_with_the_others(slide, tmp_path):
    options = {"keep": ["device"]}
    result = convert(slide, tmp_path / "out", "research", custody(tmp_path), **options)
    dataset = header(result)
    study, calibrated = (
        date.fromisoformat(dataset[k].value) for k in ("StudyDate", "DateOfLastCalibration")
    )
    assert study - calibrated == date(2023, 5, 17) - date(2021, 11, 29)
    assert calibrated != date(2021, 11, 29)
    assert "TimeOfLastCalibration" not in dataset
    assert {"113107", "113109"} <= set(codes_of(dataset))


def test_date_of_the_calibration_alone_is_a_date_and_a_device(slide, tmp_path):
    given = custody(
        tmp_path,
        study_date="",
        acquisition_date="",
        **dict.fromkeys(("device_serial_number", "device_uid", "device_udi", "station_name"), ""),
    )
    kept = convert(slide, tmp_path / "kept", "research", given, keep=["device"])
    assert codes_of(header(kept)) == ["113100", "113101", "113105", "113107", "113109"]
    assert header(kept).LongitudinalTemporalInformationModified == "MODIFIED"
    options = {"keep": ["device"], "dates": "drop"}
    dropped = convert(slide, tmp_path / "dropped", "research", given, **options)
    assert "DateOfLastCalibration" not in header(dropped)
    assert codes_of(header(dropped)) == ["113100", "113101", "113105"]


@pytest.mark.parametrize("left", ["113107", "113109"])
def test_calibration_without_its_claims_is_found(left, slide, tmp_path):
    options = {"keep": ["device"]}
    result = convert(slide, tmp_path / "out", "research", custody(tmp_path), **options)
    dataset = pydicom.dcmread(result.instances[0].path)
    codes = dataset.DeidentificationMethodCodeSequence
    dataset.DeidentificationMethodCodeSequence = pydicom.Sequence(
        [item for item in codes if item.CodeValue in ("113100", left)]
    )
    if left == "113109":
        dataset.LongitudinalTemporalInformationModified = "REMOVED"
    dataset.save_as(result.instances[0].path)
    assert "(0018,1200)" in {one.place for one in coverslip.verify(tmp_path / "out").found}


def test_times_without_their_dates_are_not_written(slide, tmp_path):
    dates = ("study_date", "acquisition_date", "calibration_date")
    dataset = header(
        convert(slide, tmp_path / "out", "care", custody(tmp_path, **dict.fromkeys(dates, "")))
    )
    assert (dataset.StudyTime, dataset.ContentTime) == ("000000", "000000")
    for keyword in ("SeriesDate", "SeriesTime", "DateOfLastCalibration", "TimeOfLastCalibration"):
        assert keyword not in dataset
