"""No word of the package's own is a false alarm, whoever's folder, file or slide says it.

Whatever an output says that is not the operator's, a number or random stands somewhere in the
package, so its words are all that outputs can say.
"""

import functools
import json
import re
from pathlib import Path

import pytest

import coverslip
from coverslip.verification import header
from coverslip.verification.notes import scanner_of
from coverslip.verification.schema import words_of_certificates
from coverslip.verification.terms import Text, terms_of
from coverslip.verification.words import PublicWords
from tests.choices import choices_of
from tests.synth import FORMATS, build_svs
from tests.synth.overview import draw_overview

KINDS = {".py", ".toml", ".json", ".txt", ".html"}
OWN = re.compile(r"[A-Za-z]{4,}|(?<![}0-9])[0-9]{5,}")
"""Words and numbers, but for the rests of numbers in patterns."""
BUILDERS = {
    "pictures": lambda folder: build_svs(folder, overview=draw_overview(5, noise=1.0).picture),
    **{name: FORMATS[name] for name in ("ndpi-stitched", "scn-fluorescence", "ome-set-planes")},
    **{name: FORMATS[name] for name in ("ventana-bif-overlaps", "generic-deflate")},
}


@functools.cache
def own_words():
    """Return the words and numbers in the files of the package, some thousand.

    Words without their ends too: the bounds of a word are not always told right.
    """
    package = Path(coverslip.__file__).parent
    texts = (path.read_text("utf-8") for path in package.rglob("*") if path.suffix in KINDS)
    words = {word for text in texts for word in OWN.findall(text)}
    return sorted(words | {word[:-1] for word in words if word.isalpha() and len(word) > 4})


@pytest.mark.parametrize("profile", ["public", "research"])
@pytest.mark.parametrize("name", BUILDERS)
def test_no_word_of_the_package_is_found_in_an_output(name, profile, tmp_path):
    slide = BUILDERS[name](tmp_path)
    options = choices_of(slide, "") | {"overview": "mask", "label": "substitute"}
    result = coverslip.convert(
        slide.path, tmp_path / "out", profile=profile, verify=False, **options
    )
    items = coverslip.open(slide.path).description.metadata.items
    public = PublicWords({*words_of_certificates(), *(i.key for i in items if i.key is not None)})
    terms = terms_of([Text("word", word) for word in own_words()], public)
    assert len(terms.terms) > 1000
    scanner = scanner_of(terms)
    found = set()
    for path in (*result.study_path.rglob("*.dcm"), result.certificate_path):
        # What chance writes into frames is another question (benches.false_alarms).
        end = header.read(path).pixel_data_offset if path.suffix == ".dcm" else None
        hits = scanner.scan_bytes(path.read_bytes()[:end])
        found |= {(terms.terms[hit.term].spelling, path.suffix) for hit in hits}
    assert found == set()


@pytest.mark.parametrize("place", ["segments_dropped", "count"])
@pytest.mark.parametrize(("number", "is_found"), [(54321, False), (765432, False), (7654321, True)])
def test_count_of_a_certificate_is_no_number_of_the_slide(number, is_found, place, tmp_path):
    """Slides have dozens of numbers: by chance one is what a count says."""
    study = coverslip.convert(build_svs(tmp_path, levels=1).path, tmp_path / "out").study_path
    (certificate,) = study.glob("*.certificate.json")
    document = json.loads(certificate.read_text())
    document["instances"][0]["blake3"] = None
    row = document["instances"][0] if place == "segments_dropped" else None
    row = document["findings"]["by_kind_and_fate"][0] if row is None else row
    row[place] = number
    certificate.write_text(json.dumps(document, indent=2))
    (tmp_path / "terms.txt").write_text(f"{number}\n")
    report = coverslip.verify(study, terms=tmp_path / "terms.txt")
    assert bool(report.found) == is_found
    document["slide_pseudonym"] += f"-{number}"
    certificate.write_text(json.dumps(document, indent=2))
    found = coverslip.verify(study, terms=tmp_path / "terms.txt").found
    assert any("term 1" in survivor.what for survivor in found)
