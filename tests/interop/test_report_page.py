"""The page about an output in a browser: nothing sticks out, everything can be read."""

import html
import json
import subprocess

import numpy as np
import pytest
from PIL import Image

import coverslip
from coverslip.report.collect import Failure, Original, collect
from coverslip.report.page import render
from tests.synth import build_svs

pytestmark = pytest.mark.tools
WIDTHS = (1280, 1000, 400)
THEMES = {"dark": 0, "light": 1}
"""Chromium's numbers for preferred colour schemes."""
LEAST_CONTRAST = 4.5
"""WCAG 2.2, 1.4.3, level AA."""

PROBE = """<!DOCTYPE html><meta charset="utf-8"><body><pre id="result"></pre><script>
const frames = [...document.querySelectorAll("iframe")];
const channels = (colour) => colour.match(/[0-9.]+/g).map(Number);
function luminance([red, green, blue]) {
  const linear = [red, green, blue].map((value) => {
    value /= 255;
    return value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2];
}
function behind(element, view) {
  for (; element; element = element.parentElement) {
    const colour = channels(view.getComputedStyle(element).backgroundColor);
    if (colour.length === 3 || colour[3] === 1) return colour;
  }
  return [255, 0, 255];
}
function measure(frame) {
  const view = frame.contentWindow, page = frame.contentDocument, root = page.documentElement;
  const closed = page.querySelectorAll("details:not([open])").length;
  [...page.querySelectorAll("details")].slice(0, 20).forEach((one) => { one.open = true; });
  const contrasts = [], walker = page.createTreeWalker(page.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const element = walker.currentNode.parentElement;
    if (!walker.currentNode.data.trim() || !element.checkVisibility()) continue;
    const [a, b] = [channels(view.getComputedStyle(element).color), behind(element, view)]
      .map(luminance).sort((x, y) => y - x);
    contrasts.push([(a + 0.05) / (b + 0.05), element.tagName + "." + element.className]);
  }
  contrasts.sort((x, y) => x[0] - y[0]);
  const images = [...page.images];
  const broken = images.filter((image) => !image.complete || !image.naturalWidth).length;
  return {
    width: root.clientWidth, scrollWidth: root.scrollWidth, height: root.scrollHeight, closed,
    isDark: view.matchMedia("(prefers-color-scheme: dark)").matches,
    texts: contrasts.length, least: contrasts[0], images: images.length, broken,
    background: view.getComputedStyle(page.body).backgroundColor,
    resources: view.performance.getEntriesByType("resource").map((entry) => entry.name),
  };
}
function run() {
  document.getElementById("result").textContent = JSON.stringify(frames.map(measure));
}
window.addEventListener("load", run);
</script></body>"""


@pytest.fixture(scope="module")
def pages(tmp_path_factory, page_of_500):
    """The pages of one slide and of 500, that of one with all that a page may hold."""
    folder = tmp_path_factory.mktemp("pages")
    out = folder / "out"
    coverslip.convert(build_svs(folder).path, out)
    one = collect(out)
    texts = (("ImageDescription", "free text", "long" * 100, "dropped"),)
    original = Original(source_path="/archive/" + "folder/" * 40, findings=texts)
    failures = [Failure(slide=3, state="failed", reason="level 0: " + "tile " * 30, hint="h" * 90)]
    originals = {one.slides[0].pseudonym: original}
    return {
        "one": render(one, failures=failures, originals=originals),
        "many": page_of_500,
    }


def browse(tool, folder, theme, *arguments):
    command = [tool("chromium"), "--headless", "--no-sandbox", "--disable-gpu"]
    command += ["--hide-scrollbars", f"--user-data-dir={folder / 'profile'}"]
    command += [f"--blink-settings=preferredColorScheme={THEMES[theme]}", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    return done.stdout


def measured(tool, folder, theme, page):
    """Return what the page measures in frames of all widths."""
    page = page.replace('loading="lazy"', "")  # so that the frame waits for its pictures
    frames = "".join(
        f'<iframe srcdoc="{html.escape(page)}" style="width:{width}px;height:800px;border:0">'
        "</iframe>"
        for width in WIDTHS
    )
    probe = folder / "probe.html"
    probe.write_text(PROBE.replace("<body>", f"<body>{frames}"))
    dom = browse(tool, folder, theme, "--dump-dom", probe.as_uri())
    text = dom.partition('<pre id="result">')[2].partition("</pre>")[0]
    return json.loads(html.unescape(text))


@pytest.mark.parametrize(("name", "theme"), [("one", "light"), ("one", "dark"), ("many", "light")])
def test_page_fits_and_can_be_read(name, theme, pages, tool, tmp_path):
    found = measured(tool, tmp_path, theme, pages[name])

    for width, result in zip(WIDTHS, found, strict=True):
        assert result["width"] == width
        assert result["scrollWidth"] <= width
        assert result["isDark"] == (theme == "dark")
        assert result["least"][0] >= LEAST_CONTRAST, result["least"]
        assert result["texts"] > (100 if name == "one" else 4_000)
        assert result["images"] == (1 if name == "one" else 200)
        assert result["broken"] == 0
        assert result["closed"] == (1 if name == "one" else 501)
        assert result["resources"] == []


@pytest.mark.parametrize("theme", THEMES)
def test_screenshot_shows_text_and_picture_on_the_theme_s_paper(theme, pages, tool, tmp_path):
    page, shot = tmp_path / "page.html", tmp_path / "shot.png"
    page.write_text(pages["one"])

    browse(tool, tmp_path, theme, "--window-size=1280,4200", f"--screenshot={shot}", page.as_uri())

    pixels = np.asarray(Image.open(shot).convert("RGB")).astype(int)
    assert pixels.shape == (4200, 1280, 3)
    paper = pixels[0, 0]
    assert (paper.max() < 40) if theme == "dark" else (paper.min() > 230)
    written = (abs(pixels - paper) > 90).any(axis=2).mean()
    assert 0.005 < written < 0.3
    is_tissue = (pixels[..., 0] - pixels[..., 1] > 40) & (pixels[..., 2] - pixels[..., 1] > 20)
    assert is_tissue.sum() > 2000
