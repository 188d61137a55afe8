"""The map of the house in CONTRIBUTING, held: which room imports which."""

import ast
from pathlib import Path

import pytest

import coverslip

PACKAGE = Path(coverslip.__file__).parent

MAY_IMPORT = {
    "errors": set(),
    "limits": set(),
    "_core": set(),
    "model": {"errors", "model"},
    "tiff": {"model", "errors", "limits", "tiff"},
    "formats": {"tiff", "model", "errors", "limits", "formats"},
    "codes": set(),
    "deid": {"codes", "model", "errors", "deid", "guard", "limits"},
    "dicom": {"codes", "model", "errors", "dicom"},
    "colour": {"_core", "model", "errors"},
    "blank": {"_core", "model", "errors"},
    "guard": {"errors"},
    "codecs": set(),
    "decoders": {"codecs", "errors", "guard"},
    "samples": {"codecs", "model", "errors", "limits", "decoders"},
    "cores": {"decoders", "errors", "guard", "limits", "model"},
    "pixels": {
        *("_core", "cores", "decoders", "errors", "guard", "limits", "model", "samples"),
    },
    "montages": {"_core", "decoders", "model", "samples"},
    "recode": {"_core", "cores", "model", "montages", "pixels"},
    "mosaics": {"_core", "model", "errors", "sampling"},
    "sampling": {"_core", "model", "errors"},
    "rasters": {"_core", "model", "errors", "colour"},
    "routes": {
        *("_core", "model", "errors", "colour", "montages", "mosaics", "rasters", "routes"),
        *("samples", "sampling"),
    },
    "cutting": {"_core", "errors", "limits", "model", "sampling"},
    # To look for a slide's texts it is opened; what wrote the files, and by which rules, is not
    # known here.
    "verification": {
        *("_core", "beside", "codes", "errors", "gaps", "guard", "limits", "model", "mosaics"),
        "pictures",
        *("sampling", "slide", "verification"),
    },
    # Of verification, only the checker of the certificates' schema.
    "report": {"_core", "errors", "limits", "report", "verification"},
    "audit": {"model", "deid"},
    "commit": {"errors", "guard"},
    "sample": {"errors", "sample"},
    "sets": {"errors", "formats"},
    "gaps": set(),
    "leftovers": {"errors", "gaps", "leftovers", "model"},
    "slide": {
        *("_core", "colour", "cutting", "deid", "errors", "formats", "leftovers", "model"),
        *("routes", "sampling", "tiff"),
    },
    "frames": {"_core", "blank", "errors", "limits", "model", "routes", "sampling", "slide"},
    "made_frames": {
        *("_core", "frames", "model", "mosaics", "pixels", "recode", "routes", "sampling", "slide"),
    },
    "pictures": {"_core", "codecs", "colour", "decoders", "errors", "limits", "model", "samples"},
    "associated": {"_core", "frames", "model", "pictures"},
    "luminance": {
        *("_core", "decoders", "errors", "limits", "model", "montages", "pictures", "samples"),
    },
    "beside": {"_core", "guard"},
    "search": {"_core", "deid", "errors", "luminance", "model", "routes", "slide"},
    "outgoing": {
        *("associated", "deid", "errors", "model", "pictures", "routes", "search", "slide"),
        "thumbnails",
    },
    "examining": {
        *("associated", "beside", "deid", "luminance", "model", "outgoing", "routes", "search"),
        "slide",
    },
    "quarantine": {"commit", "errors"},
    "thumbnails": {"deid", "errors", "pictures"},
    "instances": {
        *("_core", "associated", "beside", "dicom", "errors", "frames", "made_frames", "model"),
        *("routes", "slide", "verification"),
    },
    "concatenation": {"errors", "instances", "model"},
    "levels": {
        "commit",
        "concatenation",
        "errors",
        "frames",
        "instances",
        "model",
        "routes",
        "slide",
    },
    "accounts": {
        *("_core", "audit", "concatenation", "deid", "dicom", "instances", "model", "routes"),
        "slide",
    },
    "assembly": {
        *("_core", "accounts", "associated", "audit", "commit", "concatenation", "deid", "dicom"),
        *("examining", "instances", "levels", "model", "routes", "search", "slide"),
        "verification",
    },
    "conversion": {
        *("assembly", "colour", "cutting", "decoders", "deid", "errors", "examining", "instances"),
        *("quarantine", "search", "slide"),
    },
    "archive": {
        *("_core", "archive", "commit", "conversion", "deid", "errors", "guard", "instances"),
        *("limits", "quarantine", "sets"),
    },
    "cli": {
        *("archive", "commit", "conversion", "deid", "instances", "slide", "sample", "errors"),
        *("dicom", "model"),
        *("_core", "audit", "cli", "colour", "cutting", "guard", "limits", "pictures", "report"),
        *("frames", "quarantine", "routes", "sets", "verification"),
    },
    "__init__": {
        *("_core", "archive", "conversion", "deid", "errors", "instances", "slide"),
        "verification",
    },
    "__main__": {"cli"},
}
ONLY_IN = {
    "tifffile": {"sample", "verification"},
    "pydicom": {"dicom", "report", "verification"},
    "typer": {"cli"},
}
SLOW = {"pydicom", "jinja2", "tifffile", "imagecodecs", "numpy", "rich", "coverslip.conversion"}


def room_of(path, package):
    return path.relative_to(package).parts[0].removesuffix(".py")


def imports_of(tree, folder=("coverslip",)):
    """Yield every module that is imported anywhere in a file of a package folder."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = folder[: len(folder) + 1 - node.level] if node.level else ()
            module = ".".join([*above, *filter(None, [node.module])])
            yield module
            if module == "coverslip":
                yield from (f"coverslip.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Call) and called(node) in ("import_module", "__import__"):
            yield from (
                a.value for a in node.args if isinstance(a, ast.Constant) and type(a.value) is str
            )


def called(node):
    """Return the last part of the name of what is called, ``CleanMetadata`` or ``model.``'s."""
    return getattr(node.func, "attr", getattr(node.func, "id", None))


def broken_rules(package):
    """Yield a sentence for each import that the map does not allow."""
    for path in sorted(package.rglob("*.py")):
        room = room_of(path, package)
        folder = ("coverslip", *path.relative_to(package).parts[:-1])
        for module in imports_of(ast.parse(path.read_text()), folder):
            first, _, rest = module.partition(".")
            target = rest.split(".")[0]
            if first == "coverslip" and target and target not in MAY_IMPORT.get(room, set()):
                # `from coverslip import name` may name a value instead of a room.
                if target in MAY_IMPORT:
                    yield f"{room} imports {target}"
            elif room not in ONLY_IN.get(first, {room}):
                yield f"{room} imports {first}"


def names_in(package, name):
    """Return the files in which a name is used, imported or called."""
    return {
        str(path.relative_to(package))
        for path in package.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if (isinstance(node, ast.Name) and node.id == name)
        or (isinstance(node, ast.Attribute) and node.attr == name)
        or (isinstance(node, ast.alias) and node.name == name)
    }


def calls_of(package, name):
    return {
        str(path.relative_to(package))
        for path in package.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call) and called(node) == name
    }


def test_no_room_imports_what_the_map_forbids():
    assert list(broken_rules(PACKAGE)) == []


def test_every_room_is_on_the_map():
    rooms = {room_of(path, PACKAGE) for path in PACKAGE.rglob("*.py")}
    assert rooms <= set(MAY_IMPORT)


@pytest.mark.parametrize(
    ("room", "line", "rule"),
    [
        ("dicom/x.py", "from coverslip.deid.scrub import scrub", "dicom imports deid"),
        ("deid/x.py", "import tifffile", "deid imports tifffile"),
        ("slide.py", "def f():\n    from coverslip import cli", "slide imports cli"),
        ("slide.py", "from . import cli", "slide imports cli"),
        ("dicom/x.py", "from ..formats import detect", "dicom imports formats"),
        ("deid/x.py", "from ..tiff import open_tiff", "deid imports tiff"),
        (
            "model.py",
            "import importlib\nimportlib.import_module('pydicom')",
            "model imports pydicom",
        ),
        ("tiff.py", "f = __import__('coverslip.dicom.wsm')", "tiff imports dicom"),
        ("cli/x.py", "import tifffile", "cli imports tifffile"),
        (
            "verification/x.py",
            "from coverslip.deid.scrub import CODES",
            "verification imports deid",
        ),
        ("verification/x.py", "from ..dicom import allowlist", "verification imports dicom"),
        (
            "verification/x.py",
            "from coverslip import conversion",
            "verification imports conversion",
        ),
    ],
)
def test_a_broken_rule_is_found(room, line, rule, tmp_path):
    path = tmp_path / room
    path.parent.mkdir(exist_ok=True)
    path.write_text(line)
    assert list(broken_rules(tmp_path)) == [rule]


def test_what_the_map_allows_is_not_told(tmp_path):
    (tmp_path / "sample.py").write_text("import tifffile\nfrom .errors import SourceError\n")
    assert list(broken_rules(tmp_path)) == []


@pytest.mark.parametrize("line", ["x = CleanMetadata()", "x = model.CleanMetadata(patient_id='')"])
def test_clean_metadata_that_another_room_makes_is_found(line, tmp_path):
    (tmp_path / "convert.py").write_text(line)
    assert calls_of(tmp_path, "CleanMetadata") == {"convert.py"}


@pytest.mark.parametrize(
    "line", ["from coverslip.model import RawMetadata", "def f(x: model.RawMetadata): pass"]
)
def test_sealed_type_that_is_named_is_found(line, tmp_path):
    (tmp_path / "wsm.py").write_text(line)
    assert names_in(tmp_path, "RawMetadata") == {"wsm.py"}


def test_only_the_scrubber_makes_clean_metadata():
    assert calls_of(PACKAGE, "CleanMetadata") == {"deid/scrub.py"}


def test_the_dicom_room_names_no_sealed_type_but_to_refuse_it():
    in_dicom = {f for f in names_in(PACKAGE, "SourceText") if f.startswith("dicom/")}
    assert in_dicom == {"dicom/allowlist.py"}
    assert not {f for f in names_in(PACKAGE, "RawMetadata") if f.startswith("dicom/")}


def test_commands_load_nothing_slow_before_they_run():
    for name in ("__init__.py", "cli/__init__.py", "cli/app.py"):
        tree = ast.parse((PACKAGE / name).read_text())
        top = {
            module
            for node in tree.body
            if isinstance(node, ast.Import | ast.ImportFrom)
            for module in imports_of(ast.Module([node], []))
        }
        assert not top & SLOW


def test_verification_reads_no_table_of_the_writer():
    texts = "".join(path.read_text() for path in (PACKAGE / "verification").glob("*.py"))
    assert "attributes.toml" not in texts
    assert "coverslip.dicom" not in texts
    assert "coverslip.deid" not in texts
