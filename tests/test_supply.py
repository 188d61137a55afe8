"""What we depend on: declared, locked, few, and from places that are named."""

import ast
import re
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
IMPORTED_AS = {"PIL": "pillow", "zxingcpp": "zxing-cpp"}


def toml(name):
    return tomllib.loads((ROOT / name).read_text())


def normal(name):
    return re.sub(r"[-_.]+", "-", name).lower()


def declared():
    requirements = toml("pyproject.toml")["project"]["dependencies"]
    return {normal(re.match(r"[\w.-]+", requirement)[0]) for requirement in requirements}


def optional(without=("test",)):
    extras = toml("pyproject.toml")["project"]["optional-dependencies"]
    return {
        normal(re.match(r"[\w.-]+", requirement)[0])
        for name, requirements in extras.items()
        if name not in without
        for requirement in requirements
    }


def test_package_imports_what_it_declares_and_nothing_else():
    found = set()
    for path in (ROOT / "python" / "coverslip").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom) and node.level == 0:
                names = [node.module]
            found |= {name.partition(".")[0] for name in names}
    others = found - set(sys.stdlib_module_names) - {"coverslip"}
    names = {IMPORTED_AS.get(name, normal(name)) for name in others}
    assert names - optional() <= declared()
    assert declared() <= names


def test_constraints_pin_what_is_declared_and_the_extras_of_those_who_convert():
    pins = lines_of("constraints.txt")
    assert all(re.fullmatch(r"[a-z0-9-]+==[0-9][\w.]*( ; [\w .'<=>]+)?", pin) for pin in pins)
    extras = optional(without={"test", "bench"})
    assert {"pyrage", "distributed", "rapidocr", "onnxruntime"} <= extras
    assert declared() | extras <= {pin.partition("==")[0] for pin in pins}


def test_each_version_that_is_pinned_has_checksums():
    pins, hashes = [], {}
    for line in lines_of("requirements-hashed.txt"):
        if line.startswith("    --hash="):
            hashes[pins[-1]].append(line.strip(" \\"))
        else:
            pins.append(line.removesuffix(" \\"))
            hashes[pins[-1]] = []
    assert pins == lines_of("constraints.txt")
    for pin, known in hashes.items():
        assert known, pin
        assert all(re.fullmatch(r"--hash=sha256:[0-9a-f]{64}", one) for one in known), pin


def lines_of(name):
    lines = (ROOT / name).read_text().splitlines()
    return [line for line in lines if not line.startswith("#")]


@pytest.mark.parametrize("lock", ["Cargo.lock", "rust/fuzz/Cargo.lock"])
def test_locked_crates_come_from_the_registry_with_a_checksum(lock):
    ours = {"coverslip-core", "coverslip-python", "coverslip-fuzz"}
    packages = toml(lock)["package"]
    assert {p["name"] for p in packages if "source" not in p} <= ours
    for package in packages:
        if package["name"] not in ours:
            assert package["source"].startswith("registry+https://github.com/rust-lang/crates.io-")
            assert re.fullmatch(r"[0-9a-f]{64}", package["checksum"])


def test_lock_of_the_fuzz_targets_has_what_the_core_needs():
    """Else the lock is changed by the first build, and nothing is pinned."""
    needed = toml("rust/core/Cargo.toml")["dependencies"].keys()
    (core,) = (p for p in toml("rust/fuzz/Cargo.lock")["package"] if p["name"] == "coverslip-core")
    assert {name.split(" ")[0] for name in core["dependencies"]} == set(needed)


def test_rules_for_crates_refuse_what_is_not_named():
    rules = toml("deny.toml")
    assert rules["sources"] == {"unknown-registry": "deny", "unknown-git": "deny"}
    assert not [name for name in rules["licenses"]["allow"] if "GPL" in name]
