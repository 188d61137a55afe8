"""The tables of the documents, made of the code they tell about.

``python -m tests.docs_tables`` writes them anew.
"""

import re
from collections import defaultdict
from pathlib import Path

from coverslip.deid.fates import _FATES
from coverslip.deid.policy import Dates, Keep, Link, Policy, Profile
from coverslip.deid.release import _KEPT
from coverslip.deid.scrub import CODES
from coverslip.dicom.allowlist import rules
from coverslip.dicom.modules import CODE_MEANINGS
from coverslip.errors import PolicyError
from coverslip.formats import (
    argos,
    indica,
    keyed,
    ndpi,
    ndpis,
    ome_words,
    philips,
    qptiff,
    scn,
    svs,
    ventana,
)
from coverslip.model import ItemKind
from coverslip.report.totals import FATE_MEANINGS, KINDS
from coverslip.tiff.tags import TEXT_TAGS

DOCS = Path(__file__).parents[1] / "docs"
_BLOCK = re.compile(r"(<!-- table: (\S+) -->\n)(.*?)(<!-- end -->)", re.DOTALL)
_OF_THE_PATIENT = {"identity", "operator", "policy", "vocabulary", "icc", "package"}
"""Sources of attributes that say something of patient, slide or scanner; see attributes.toml."""
_VOCABULARIES = {
    "Aperio SVS": svs._KEYS,
    "Hamamatsu NDPI": dict(ndpi._TEXTS.values()) | ndpi._KEYS | ndpis.KEYS,
    "Philips TIFF": philips._KINDS,
    "Leica SCN": scn._VOCABULARY.kinds,
    "Ventana BIF and TIFF": ventana._VOCABULARY.kinds,
    "OME-TIFF": ome_words.VOCABULARY.kinds,
    "QPTIFF": qptiff._VOCABULARY.kinds,
    "Argos": argos._VOCABULARY.kinds,
    "Indica HALO": indica._VOCABULARY.kinds,
    "Huron, Motic, Mikroscan, Trestle": keyed._KINDS,
}
_MOST_VALUES = 60
"""More of them are a list of codes, which nobody reads in a table."""
_MOVED = "moved by whole weeks or as `dates` says"
_CODES = "DeidentificationMethodCodeSequence"
_CHOICES = {
    "dates": list(Dates),
    "keep": [[word] for word in Keep],
    "link": list(Link),
    "accession": ["empty", "pseudonym"],
    "year": ["drop", "keep"],
    "time": ["drop", "keep"],
    "anatomy": ["drop", "keep"],
    "label": ["drop", "substitute", "keep"],
    "overview": ["drop", "mask", "keep"],
}


def table(*rows):
    """Return rows as a table of Markdown, the first of them its heading."""
    lines = [f"| {' | '.join(row)} |" for row in rows]
    return "\n".join([lines[0], "|" + "---|" * len(rows[0]), *lines[1:]]) + "\n"


def tags():
    rows = ((str(tag), name, KINDS[kind]) for tag, (name, kind) in sorted(TEXT_TAGS.items()))
    return table(("tag", "name", "what it may be"), *rows)


def vendors():
    return table(
        ("format", "keys that are known by name"),
        *((name, _by_kind(keys)) for name, keys in _VOCABULARIES.items()),
    )


def _by_kind(keys):
    by_kind = defaultdict(list)
    for key, kind in keys.items():
        by_kind[kind].append(f"`{key}`")
    return "; ".join(
        f"{KINDS[kind]}: {', '.join(by_kind[kind])}" for kind in ItemKind if kind in by_kind
    )


def fates():
    rows = (
        (KINDS[kind], FATE_MEANINGS[fate], attribute or "")
        for kind, (fate, attribute) in _FATES.items()
    )
    return table(("what it may be", "what becomes of it", "attribute"), *rows)


def attributes(profile):
    """Return what the files of a profile say of patient, slide and scanner."""
    rows = (
        (_attribute(path), f"({rule.tag.group:04X},{rule.tag.element:04X})", _said(path, profile))
        for path, rule in sorted(rules().items(), key=lambda item: item[1].tag)
        if rule.source in _OF_THE_PATIENT and not path.startswith(_CODES)
    )
    return table(("attribute", "tag", "what is written"), *rows)


def _attribute(path):
    return " > ".join(path.split("."))


def _said(path, profile):
    if (path, profile) == ("AccessionNumber", Profile.RESEARCH):
        return "nothing, or a pseudonym `A-...` with `accession = pseudonym`"
    if path.startswith("ClinicalTrial") and profile is Profile.RESEARCH:
        otherwise = _otherwise(rules()[path], profile)
        return f"what your table says of a trial, else {otherwise}; not there without a trial"
    return written(path, profile)


def written(path, profile):
    """Return in words what the allow-list lets a profile write at a place."""
    rule = rules()[path]
    action, otherwise = rule.actions[profile], _otherwise(rule, profile)
    kept = _if_kept(path, profile)
    return {
        "C": "rebuilt of its numbers" if rule.source == "icc" else "a name from a closed list",
        "D": otherwise,
        "G": f"what your table says{kept}, else {otherwise}",
        "K": otherwise,
        "S": f"the date of your table{kept}, {_MOVED}, else {otherwise}",
        "U": "a new UID",
        "X": "nothing: it is not there",
        "Y": f"the year of your table with `year = keep`, else {otherwise}",
        "Z": "nothing: it is empty",
    }[action]


def _if_kept(path, profile):
    is_kept = any(path in paths for paths in _KEPT.values())
    return " if `keep` names it" if profile is Profile.RESEARCH and is_kept else ""


def _otherwise(rule, profile):
    values, pattern = rule.values.get(profile), rule.patterns.get(profile)
    if values and len(values) > _MOST_VALUES:
        return f"one of {len(values)} that `codes.toml` or `attributes.toml` lists"
    if values:
        return " or ".join(f"`{value}`" for value in sorted(values))
    if pattern is None:
        return "a generated value"
    if pattern.pattern.startswith(r"2\.25\."):
        return "a new UID"
    if pattern.pattern == "":
        return "nothing"
    shown = re.sub(r"\[0-9A-HJKMNP-TV-Z\]\{13\}", "...", pattern.pattern).replace("\\^", "^")
    if "policy" in shown:
        return "a line with version, profile and digest of the policy"
    if shown.startswith("coverslip"):
        return "name and version of coverslip"
    parts = [f"a pseudonym `{p}`" if "..." in p else f"`{p}`" for p in shown.split("|")]
    return " or ".join(parts)


def options(profile):
    """Return which choices a policy of a profile has, by trying them all."""
    rows = []
    for name, choices in _CHOICES.items():
        allowed = [_shown(choice) for choice in choices if _is_allowed(profile, name, choice)]
        default = getattr(Policy(profile=profile), name)
        rows.append((f"`{name}`", _shown(default) or "nothing", ", ".join(allowed) or "no choice"))
    return table(("option", "by default", "choices"), *rows)


def _shown(choice):
    words = choice if isinstance(choice, list | frozenset) else [choice]
    return ", ".join(f"`{word}`" for word in sorted(words))


def _is_allowed(profile, name, choice):
    try:
        Policy(profile=profile, **{name: choice})
    except PolicyError:
        return False
    return True


def claimed():
    """Return the codes of CID 7050 and where they are claimed."""
    values = {
        profile: rules()[f"{_CODES}.CodeValue"].values.get(profile, ()) for profile in Profile
    }
    rows = (
        (code, meaning, "always" if code in CODES else "where it was done", *_yes(code, values))
        for code, meaning in sorted(CODE_MEANINGS.items())
    )
    return table(("code", "meaning", "claimed", *Profile), *rows)


def _yes(code, values):
    return ("yes" if code in values[profile] else "no" for profile in Profile)


TABLES = {"tags": tags, "vendors": vendors, "fates": fates, "codes": claimed}
for _profile in Profile:
    TABLES[f"attributes-{_profile}"] = lambda profile=_profile: attributes(profile)
    TABLES[f"options-{_profile}"] = lambda profile=_profile: options(profile)


def renewed(text):
    """Return a document with its tables as the code makes them now."""
    return _BLOCK.sub(lambda block: f"{block[1]}{TABLES[block[2]]()}{block[4]}", text)


def names_in(text):
    return [block[2] for block in _BLOCK.finditer(text)]


if __name__ == "__main__":
    for path in DOCS.rglob("*.md"):
        path.write_text(renewed(path.read_text()))
