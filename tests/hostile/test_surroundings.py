"""What lies around a slide: its file's name, the output's path, plugins, the network."""

import os
import subprocess
import sys

import pydicom
import pytest

import coverslip
from coverslip import conversion
from coverslip.deid.policy import Policy
from coverslip.deid.uids import RandomIdentity
from tests.formats.test_plugins import PLUGIN, install  # noqa: F401 (a fixture)
from tests.hostile.test_bad_input import refuse, told
from tests.privacy.search import places_of, survivors
from tests.program import command
from tests.synth import build_generic, build_svs

SMALL = {"size": (200, 150), "tile": 64, "levels": 1}
NAMES = {
    "control characters": b"SMITHSON\x1b[31m\x07\x08-\x7f.svs",
    "newlines": b"SMITHSON\nerror: slide 2\r\n{}.svs",
    "255 bytes": b"SMITHSON" + b"x" * 243 + b".svs",
    "invalid UTF-8": b"SMITHSON\xff\xfe\xc3\x28\x80.svs",
    "surrogates": "SMITHSON\ud800.svs".encode("utf-8", "surrogatepass"),
    "right to left": "SMITHSON\u202egvs.svs".encode(),
    "options": b"--out=SMITHSON.svs",
    "markup": b"[bold]SMITHSON %s {0} $(id) `id` ;.svs",
}


@pytest.mark.parametrize("name", NAMES.values(), ids=NAMES)
def test_name_of_any_bytes_is_converted_and_goes_nowhere(name, tmp_path):
    slide = build_generic(tmp_path, 1, **SMALL)
    path = tmp_path / os.fsdecode(name)
    slide.path.rename(path)
    result = coverslip.convert(path, tmp_path / "out")
    places = places_of(tmp_path / "out", repr(result), str(result.to_dict()))
    assert survivors(["SMITHSON"], places) == set()


@pytest.mark.parametrize("kind", ["control characters", "invalid UTF-8"])
def test_command_line_takes_such_a_name_and_never_shows_it(kind, tmp_path):
    slide = build_generic(tmp_path, 1, **SMALL)
    path = tmp_path / os.fsdecode(NAMES[kind])
    slide.path.rename(path)
    for content in (None, b"no slide"):
        if content is not None:
            path.write_bytes(content)
        done = command("convert", "-o", tmp_path / "out", "--", path)
        assert done.returncode == (0 if content is None else 1)
        assert "SMITHSON" not in done.stdout + done.stderr
        assert "\x1b" not in done.stdout + done.stderr


def test_name_that_is_too_long_is_an_error_of_the_system(tmp_path):
    path = tmp_path / ("SMITHSON" * 40)
    with pytest.raises(OSError, match="File name too long") as raised:
        coverslip.convert(path, tmp_path / "out")
    assert "SMITHSON" not in told(raised.value).replace(__file__, "")


def test_output_that_is_a_link_to_nowhere_is_refused(tmp_path):
    slide = build_generic(tmp_path, 1, **SMALL)
    (tmp_path / "out").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OSError, match="a link that leads nowhere"):
        coverslip.convert(slide.path, tmp_path / "out")
    assert not (tmp_path / "elsewhere").exists()


@pytest.mark.parametrize("overwrite", [False, True])
def test_link_in_the_place_of_the_study_is_not_followed(overwrite, tmp_path):
    slide = build_generic(tmp_path, 1, **SMALL)
    opened = coverslip.open(slide.path)

    def convert(out):
        return conversion.convert_opened(
            opened, out, Policy(), RandomIdentity(bytes), overwrite=overwrite
        )

    first = convert(tmp_path / "first")
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / first.study_path.name).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(FileExistsError, match="link"):
        convert(tmp_path / "out")
    assert list((tmp_path / "elsewhere").iterdir()) == []
    assert len(list((tmp_path / "out").iterdir())) == 1


HOSTILE = {
    "tiles that lie anywhere": "levels[0].tiles.offsets[:] = 1 << 62",
    "fewer tiles than its grid": ("levels = (dataclasses.replace(levels[0], image_width=100000),)"),
    "tiles in a text": "levels[0].tiles.offsets[:] = tiff.directories[0]._entries[305].offset",
    "no level at all": "levels = ()",
    "an exception with a text of the slide": "raise OSError(text.reveal())",
    "another type than a slide": "return text.reveal()",
}


@pytest.mark.parametrize("change", HOSTILE.values(), ids=HOSTILE)
def test_hostile_plugin_writes_nothing(change, install, tmp_path):  # noqa: F811
    (tmp_path / "folder").mkdir()
    slide = build_generic(tmp_path / "folder", 1, **SMALL)
    begin = "            return Slide("
    install("    import dataclasses\n" + PLUGIN.replace(begin, f"            {change}\n{begin}"))
    error = refuse(slide, tmp_path / "folder", Exception)
    assert survivors([text for text in slide.identifiers if len(text) > 4],
                     {"error": told(error).encode()}) == set()  # fmt: skip


OFFLINE = """
import sys
def hook(event, arguments):
    if event.startswith("socket.") or event in ("urllib.Request", "http.client.connect"):
        import os
        os.write(2, f"opened {event}".encode())
        os._exit(9)
sys.addaudithook(hook)
# pydicom loads it where it is installed; what it loads binds a socket to see if there is IPv6.
sys.modules["requests"] = None
import coverslip
coverslip.convert(sys.argv[1], sys.argv[2], allow_pixel=True)
"""


@pytest.mark.parametrize("builder", ["svs", "pixel"])
def test_conversion_opens_no_socket(builder, tmp_path):
    if builder == "svs":
        slide = build_svs(tmp_path, 1, size=(200, 150), tile=64)
    else:
        slide = build_generic(tmp_path, 1, codec="deflate", **SMALL)
    offline = [sys.executable, "-c", OFFLINE, slide.path, tmp_path / "out"]
    done = subprocess.run(offline, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert any(pydicom.dcmread(path) for path in (tmp_path / "out").rglob("*.dcm"))


def test_socket_that_is_opened_would_be_seen(tmp_path):
    code = OFFLINE.replace("import coverslip\n", "import socket\nsocket.socket()\n")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=False)
    assert done.returncode == 9
