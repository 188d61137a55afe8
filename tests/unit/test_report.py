"""The page about an output: what it says, and what a hostile output cannot make of it."""

import base64
import dataclasses
import os
import random
import re
import sqlite3
from functools import partial
from html.parser import HTMLParser
from io import BytesIO

import numpy as np
import pytest
from PIL import Image

import coverslip
import coverslip.audit
from coverslip.cli import report as command
from coverslip.deid.custody import Custody
from coverslip.deid.metadata import Given, MetadataTable
from coverslip.deid.originals import read_vault
from coverslip.deid.vault import FILE_NAME
from coverslip.errors import LimitError, PolicyError, SourceError
from coverslip.limits import LIMITS
from coverslip.model import OperatorText
from coverslip.report import collect as collecting
from coverslip.report import page as paging
from coverslip.report import totals
from coverslip.report.collect import CERTIFICATE, Failure, Original, collect
from coverslip.report.page import render, write_report
from coverslip.report.pictures import PictureMaker
from coverslip.tiff.tags import TEXT_TAGS
from tests.synth import build_ndpi, build_svs
from tests.synth.overview import draw_overview
from tests.test_cli import run
from tests.unit.outputs import certificate_of, multiply, write

PICTURES = re.compile(r'src="data:image/jpeg;base64,([^"]+)"')


class Texts(HTMLParser):
    """The text of a page as a person reads it, and the elements it is made of."""

    def __init__(self, text):
        super().__init__()
        self.parts, self.elements = [], set()
        self.feed(text)
        self.text = "".join(self.parts)

    def handle_starttag(self, tag, attributes):
        self.elements.add(tag)
        assert not {name for name, _ in attributes if name.startswith("on")}

    def handle_endtag(self, tag):
        self.parts.append("" if tag in ("b", "a", "code") else " ")

    def handle_data(self, data):
        self.parts.append("" if self.lasttag == "style" else data)


def words(text):
    return " ".join(Texts(text).text.split())


@pytest.fixture(scope="module")
def slide(tmp_path_factory):
    return build_svs(tmp_path_factory.mktemp("report"))


@pytest.fixture(scope="module")
def converted(slide, tmp_path_factory):
    out = tmp_path_factory.mktemp("converted") / "out"
    coverslip.convert(slide.path, out)
    return out


@pytest.fixture
def out(converted, tmp_path):
    """An output of one slide that a test may change."""
    multiply(converted, tmp_path / "out", 1)
    return tmp_path / "out"


@pytest.fixture
def blind(monkeypatch):
    """Pages without pictures, where these are not the point: the process takes a second."""
    monkeypatch.setattr(paging.PictureMaker, "jpeg_of", lambda *_, **__: None)


def change(out, **changes):
    """Change the certificate of the one slide in an output."""
    path, certificate = certificate_of(out)
    path.unlink()
    write(path, certificate | changes)


@pytest.mark.usefixtures("blind")
def test_page_tells_what_the_certificate_tells(converted):
    _, certificate = certificate_of(converted)
    text = words(render(collect(converted)))

    assert "1 slide was converted, under the profile public" in text
    assert certificate["policy"]["sha256"] in text
    assert certificate["slide_pseudonym"] in text
    assert certificate["residual_risk"] in text
    assert "113105 Clean Descriptors Option" in text
    assert f"Places that may identify {certificate['findings']['count']}" in text
    assert "Text in small levels" in text
    assert "Bar codes in small levels searched, nothing found 1" in text
    assert "Frames compared with the slide after they were written compared, all equal 1" in text


def test_findings_by_place_are_all_findings_and_no_directory_is_counted_alone(converted):
    _, certificate = certificate_of(converted)
    rows = certificate["findings"]["by_place_and_fate"]

    assert sum(row["count"] for row in rows) == certificate["findings"]["count"]
    assert {"ImageDescription", "LABEL", "private tag", "file name"} <= {r["place"] for r in rows}
    assert not any(re.search(r"\d", row["place"]) for row in rows)


def test_places_of_the_schema_are_those_that_tags_have():
    assert {name for name, _ in TEXT_TAGS.values()} <= coverslip.audit._places()


def test_nothing_of_the_slide_is_on_the_page(slide, converted):
    page = render(collect(converted))
    # Pictures are Base64, in which chance writes any four letters.
    text = re.sub(r"base64,[A-Za-z0-9+/=]+", "", page)

    for identifier in slide.identifiers:
        assert identifier not in (page if len(identifier) >= 8 else text)


def test_page_loads_nothing_and_runs_nothing(converted):
    page = render(collect(converted))

    assert "script" not in Texts(page).elements
    assert not re.findall(r"(?:href|src)=\"(?!#|data:image/jpeg;base64,)", page)
    assert "url(" not in page
    assert "default-src 'none'; img-src data:" in page


@pytest.mark.usefixtures("blind")
def test_same_output_gives_the_same_page(converted):
    assert render(collect(converted)) == render(collect(converted))


STACK = partial(build_svs, focal_planes=("0", "1"), levels=1)


@pytest.mark.parametrize("build", [build_svs, build_ndpi, STACK])
def test_picture_is_the_lowest_level_and_has_its_colours(build, tmp_path):
    slide = build(tmp_path)
    coverslip.convert(slide.path, tmp_path / "out", verify=False)

    (encoded,) = PICTURES.findall(render(collect(tmp_path / "out")))

    picture = Image.open(BytesIO(base64.b64decode(encoded)))
    lowest = slide.levels[-1]
    scale = max(picture.size) / max(lowest.width, lowest.length)
    assert scale <= 1
    assert picture.size == pytest.approx((lowest.width * scale, lowest.length * scale), abs=1)
    red, green, blue = (sum(picture.resize((1, 1)).getpixel((0, 0))[i : i + 1]) for i in range(3))
    assert red > blue > green  # eosin and haematoxylin on white
    assert not {"exif", "icc_profile", "comment"} & set(picture.info)


def test_page_of_500_slides_is_small_and_counts_all_of_them(page_of_500):
    page = page_of_500
    pictures, text = PICTURES.findall(page), words(page)

    assert "500 slides were converted" in text
    assert "200 pictures of the first 200 slides" in text
    assert len(pictures) == LIMITS.report_pictures
    assert max(map(len, pictures)) <= 20_000
    assert len(page) < 15_000 * 500
    assert page.count('<details id="slide-') == 500


@pytest.mark.usefixtures("blind")
def test_slides_beyond_the_limit_are_counted_and_not_listed(converted, tmp_path, monkeypatch):
    multiply(converted, tmp_path / "many", 5)
    monkeypatch.setattr(paging, "LIMITS", dataclasses.replace(LIMITS, report_slides=3))

    text = words(render(collect(tmp_path / "many")))

    assert "5 slides were converted" in text
    assert "2 more slides are counted above and not listed" in text


@pytest.mark.usefixtures("blind")
def test_failures_are_listed_with_reason_and_hint(converted):
    failure = Failure(slide=7, state="failed", reason="level 1: a <b>tile</b>", hint="scan & try")

    page = render(collect(converted), failures=[failure])

    assert "1 slide was not converted" in words(page)
    assert "7 failed level 1: a <b>tile</b> scan & try" in words(page)
    assert "<b>tile</b>" not in page


def test_missing_and_unnamed_files_are_told(out):
    path, certificate = certificate_of(out)
    (missing,) = path.parent.glob(f"*/{certificate['instances'][-1]['sop_instance_uid']}.dcm")
    missing.unlink()
    (out / "notes.txt").write_text("x")

    text = words(render(collect(out)))

    assert "1 file that a certificate lists is not there" in text
    assert "1 file that no certificate names is in the folder" in text
    assert "not shown" in text


MARKUP = "<script>alert(1)</script>"


@pytest.mark.usefixtures("blind")
def test_markup_in_a_certificate_stays_text(out):
    _, certificate = certificate_of(out)
    findings = certificate["findings"] | {"keys_removed": [MARKUP, "</style><img src=x onerror=x>"]}
    change(out, findings=findings, residual_risk=MARKUP)

    page = render(collect(out))

    assert MARKUP not in page
    assert MARKUP in words(page)
    assert "script" not in Texts(page).elements


@pytest.mark.parametrize(
    "changes",
    [
        {"study_instance_uid": "../../../etc"},
        {"series_instance_uids": ["../.."]},
        {"series_instance_uids": []},
        {"schema_version": 2},
        {"slide_pseudonym": MARKUP},
        {"surprise": 1},
    ],
)
@pytest.mark.usefixtures("blind")
def test_certificate_that_is_none_is_told_and_shown_nowhere(out, changes):
    change(out, **changes)

    collected = collect(out)

    assert collected.slides == ()
    assert collected.unreadable == (
        "certificate 1: it is not valid against the schema of this version",
    )
    assert "0 slides were converted" in words(render(collected))


@pytest.mark.parametrize(
    ("data", "what"),
    [
        (b"{", "it is not JSON"),
        (b"[" * 100_000, "it is not JSON"),
        (b"\xff\xfe", "it is not JSON"),
        (b'{"a": NaN}', "it is not JSON"),
        (b'{"a": 1e400}', "it is not JSON"),
        (b'{"a": ' + b"9" * 5000 + b"}", "it is not JSON"),
        (b"[]", "it is not valid against the schema of this version"),
        (
            b" " * (LIMITS.certificate_bytes + 1),
            f"it has more than {LIMITS.certificate_bytes} bytes",
        ),
    ],
)
def test_bytes_that_are_no_certificate_are_told(out, data, what):
    path, _ = certificate_of(out)
    path.write_bytes(data)

    assert collect(out).unreadable == (f"certificate 1: {what}",)


def test_certificate_in_the_folder_of_another_study_is_told(out):
    path, _ = certificate_of(out)
    path.parent.rename(out / "2.25.1")

    assert collect(out).unreadable == ("certificate 1: it lies in the folder of another study",)


def test_links_and_pipes_are_not_followed(out, tmp_path):
    path, _ = certificate_of(out)
    secret = tmp_path / "secret"
    path.rename(secret)
    path.symlink_to(secret)
    os.mkfifo(path.with_name(f"C-PIPE{CERTIFICATE}"))
    (out / "loop").symlink_to(out)

    collected = collect(out)

    assert collected.slides == ()
    assert {sentence.partition(": ")[2] for sentence in collected.unreadable} == {
        "it is not a regular file",
        "it cannot be read",
    }


def test_instance_that_is_a_link_is_missing_and_not_read(out, tmp_path):
    path, certificate = certificate_of(out)
    (lowest,) = path.parent.glob(f"*/{certificate['instances'][-1]['sop_instance_uid']}.dcm")
    lowest.rename(tmp_path / "elsewhere")
    lowest.symlink_to(tmp_path / "elsewhere")

    assert collect(out).slides[0].missing == 1
    assert not PICTURES.findall(render(collect(out)))


def test_output_without_a_certificate_is_an_error(tmp_path):
    with pytest.raises(SourceError, match="no certificate"):
        collect(tmp_path)


def test_folder_of_too_many_files_is_an_error(out, monkeypatch):
    monkeypatch.setattr(collecting, "LIMITS", dataclasses.replace(LIMITS, report_entries=2))

    with pytest.raises(LimitError, match="report_entries = 2"):
        collect(out)


def lowest_of(converted):
    return min(collect(converted).slides[0].instances, key=lambda i: i.columns).path.read_bytes()


def test_instance_whose_bytes_are_changed_gives_a_picture_or_none(converted):
    chance, data = random.Random(7), lowest_of(converted)
    wanted = {"most_pixels": 1 << 20, "edge": 100, "most_bytes": 14_000}
    with PictureMaker() as maker:
        assert maker.jpeg_of(data, **wanted)
        assert maker.jpeg_of(data[: len(data) // 2], **wanted) is None
        assert maker.jpeg_of(b"", **wanted) is None
        for _ in range(200):
            changed = bytearray(data)
            for _ in range(chance.randint(1, 40)):
                changed[chance.randrange(128, len(data))] = chance.randrange(256)
            picture = maker.jpeg_of(bytes(changed), **wanted)
            assert picture is None or picture.startswith(b"\xff\xd8")


def test_picture_with_more_pixels_than_are_decoded_is_not_shown(converted):
    with PictureMaker() as maker:
        picture = maker.jpeg_of(lowest_of(converted), most_pixels=1000, edge=100, most_bytes=14_000)

    assert picture is None


def test_process_that_dies_is_replaced(converted):
    wanted = {"most_pixels": 1 << 20, "edge": 100, "most_bytes": 14_000}
    with PictureMaker() as maker:
        maker.jpeg_of(lowest_of(converted), **wanted)
        maker._process.kill()

        assert maker.jpeg_of(lowest_of(converted), **wanted) is None
        assert maker.jpeg_of(lowest_of(converted), **wanted)


@pytest.mark.usefixtures("blind")
def test_page_is_not_replaced_unless_told(converted, tmp_path):
    collected, path = collect(converted), tmp_path / "page.html"
    write_report(collected, path)
    path.write_text("mine")

    with pytest.raises(FileExistsError):
        write_report(collected, path)
    assert path.read_text() == "mine"
    write_report(collected, path, overwrite=True)
    assert path.read_text().startswith("<!DOCTYPE html>")
    assert [p.name for p in tmp_path.iterdir()] == ["page.html"]


def test_page_of_the_vault_shows_originals_and_is_for_its_owner_only(slide, tmp_path):
    out, vault = tmp_path / "out", tmp_path / "out.vault"
    coverslip.convert(slide.path, out, profile="research")

    done = run("report", out, "--vault", vault)

    assert done.stdout == f"{vault / 'report.html'}\n"
    page = vault / "report.html"
    assert page.stat().st_mode & 0o777 == 0o600
    text = words(page.read_text())
    assert "This page names originals. Do not share it." in text
    assert str(slide.path) in text
    assert sum(identifier in text for identifier in slide.identifiers) >= 10
    assert not any(identifier in done.stderr for identifier in slide.identifiers)
    with pytest.raises(PolicyError, match="a page with originals may not lie in the output"):
        report(out, page=out / "page.html", vault=vault)


def test_vault_that_is_none_is_an_error(tmp_path):
    with pytest.raises(PolicyError, match="no vault"):
        read_vault(tmp_path)
    (tmp_path / FILE_NAME).write_bytes(b"none")
    with pytest.raises(PolicyError, match="cannot be read"):
        read_vault(tmp_path)


def test_reading_a_vault_changes_nothing_and_prints_nothing(slide, tmp_path):
    custody = Custody(vault=tmp_path / "vault")
    coverslip.convert(slide.path, tmp_path / "out", profile="research", custody=custody)
    before = (tmp_path / "vault" / FILE_NAME).read_bytes()

    (kept,) = read_vault(tmp_path / "vault")

    assert (tmp_path / "vault" / FILE_NAME).read_bytes() == before
    assert str(slide.path) == kept.source_path
    assert not any(identifier in repr(kept) for identifier in slide.identifiers)
    with sqlite3.connect(tmp_path / "vault" / FILE_NAME) as db:
        assert len(kept.findings) == db.execute("SELECT count(*) FROM finding").fetchone()[0]


@pytest.mark.usefixtures("blind")
def test_originals_stay_text(converted):
    collected = collect(converted)
    original = Original(source_path=MARKUP, findings=(("XMP", "free text", MARKUP, "dropped"),))

    page = render(collected, originals={collected.slides[0].pseudonym: original})

    assert MARKUP not in page
    assert words(page).count(MARKUP) == 2
    assert MARKUP not in repr(original)


def test_command_writes_the_page_and_names_it(converted, tmp_path):
    done = run("report", converted, "-o", tmp_path / "page.html")

    assert done.returncode == 0
    assert done.stdout == f"{tmp_path / 'page.html'}\n"
    again = run("report", converted, "-o", tmp_path / "page.html")
    assert again.returncode == 1
    assert "hint: replace it with --overwrite" in again.stderr


def test_words_cover_what_certificates_may_say():
    findings = coverslip.audit.certificate_schema()["properties"]["findings"]["properties"]
    row = findings["by_kind_and_fate"]["items"]["properties"]
    checks = coverslip.audit.certificate_schema()["properties"]["checks"]["properties"]

    assert set(row["kind"]["enum"]) <= set(totals.KINDS)
    assert set(row["fate"]["enum"]) <= set(totals.FATES)
    assert set(totals.FATES) == set(totals.FATE_MEANINGS)
    assert set(checks) <= set(totals.CHECKS)
    assert {result for check in checks.values() for result in check["enum"]} <= set(totals.RESULTS)


def test_overview_is_shown_before_and_after_only_on_the_page_of_the_vault(tmp_path):
    slide = build_svs(tmp_path, overview=draw_overview(5, noise=1.0).picture)
    out = tmp_path / "out"
    coverslip.convert(slide.path, out, profile="research", overview="mask")

    shared, sealed = tmp_path / "page.html", tmp_path / "out.vault" / "report.html"
    report(out, page=shared)
    report(out, vault=sealed.parent)

    pictures = [PICTURES.findall(path.read_text()) for path in (shared, sealed)]
    assert [len(found) for found in pictures] == [2, 3]
    after, before = pictures[0][1], (set(pictures[1]) - set(pictures[0])).pop()
    assert sum(map(len, pictures[0])) <= 20_000
    assert np.abs(pixels_of(before) - pixels_of(after)).max() > 100
    slide.path.unlink()
    report(out, vault=sealed.parent, overwrite=True)
    assert len(PICTURES.findall(sealed.read_text())) == 2


def report(out, *, page=None, vault=None, overwrite=False):
    command.run(out, page=page, vault=vault, identity=None, passphrase=None, overwrite=overwrite)


def pixels_of(encoded):
    picture = Image.open(BytesIO(base64.b64decode(encoded)))
    return np.asarray(picture.resize((300, 100))).astype(int)


def test_label_and_overview_as_they_were_scanned_are_not_on_the_page(slide, tmp_path):
    table = MetadataTable(rows={slide.path.name: Given(patient_id=OperatorText("4711"))})
    out = tmp_path / "out"
    coverslip.convert(slide.path, out, profile="care", custody=Custody(metadata=table))
    collected = collect(out)
    assert {i.role for i in collected.slides[0].instances} == {"VOLUME", "LABEL", "OVERVIEW"}

    page = render(collected)

    assert len(PICTURES.findall(page)) == 1
    assert words(page).count("it was written as it was scanned, and may name the patient") == 2
    assert "Files of the profile care name the patient." in words(page)
    assert len(PICTURES.findall(render(collected, originals={}))) == 3


def test_pictures_of_a_slide_with_all_of_them_are_small(tmp_path):
    slide = build_svs(tmp_path, overview=draw_overview(5, noise=1.0).picture)
    coverslip.convert(slide.path, tmp_path / "out", overview="mask", label="substitute")

    pictures = PICTURES.findall(render(collect(tmp_path / "out")))

    assert len(pictures) == 3
    assert sum(map(len, pictures)) <= 20_000


def test_slides_that_a_run_did_not_convert_are_on_the_page(slide, tmp_path):
    slides, out = tmp_path / "slides", tmp_path / "out"
    slides.mkdir()
    (slides / "good.svs").write_bytes(slide.path.read_bytes())
    (slides / "QUILLFEATHER.svs").write_bytes(slide.path.read_bytes()[:5000])
    assert run("convert", slides, "-o", out, "--no-verify", "--quiet").returncode == 1

    report(out, page=tmp_path / "page.html")

    text = words((tmp_path / "page.html").read_text())
    assert "1 slide was converted" in text
    assert "1 slide was not converted" in text
    assert re.search(r"What can be done \d failed \w+", text)
    assert "QUILLFEATHER" not in text
