"""The page in a browser: a stroke is painted with the mouse, the result appears, all else is as it was.

Needs playwright and a Chromium that is installed already (``chromium`` on the path); skipped where either is missing.
"""

import io
import shutil

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("gradio")
sync_api = pytest.importorskip("playwright.sync_api")

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="needs a Chromium")
PATIENCE = 240_000  # ms; without a graphics card the canvas is slow


@pytest.fixture
def browser():
    with sync_api.sync_playwright() as playwright:
        arguments = ["--no-sandbox", "--disable-background-networking", "--enable-unsafe-swiftshader"]
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=arguments)
        yield browser
        browser.close()


@pytest.mark.parametrize(
    ("locale", "size", "title", "done"),
    [("en-US", (1200, 900), "Fill holes", "Filled in"), ("zh-CN", (390, 844), "填补", "用时")],
)
def test_a_painted_stroke_is_filled(browser, address, worker, picture, locale, size, title, done):
    context = browser.new_context(locale=locale, viewport={"width": size[0], "height": size[1]})
    context.set_default_timeout(PATIENCE)
    page, asked = context.new_page(), []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(address)
    page.wait_for_selector("#fill")
    assert title in page.inner_text("#title")
    page.set_input_files("#picture input[type=file]", str(picture))
    page.wait_for_selector("#editor canvas")
    page.wait_for_function("document.querySelector('#status').innerText.includes('60x40')")
    page.wait_for_timeout(3000)  # the canvas draws itself
    paint(page)
    page.click("#fill")
    page.wait_for_function(f"document.querySelector('#status').innerText.includes('{done}')")
    with page.expect_download() as download:
        page.click("#download")
    before = np.array(Image.open(picture))
    after = np.array(Image.open(io.BytesIO(download.value.path().read_bytes())))
    changed = (before != after).any(axis=2)
    assert changed[20, 30] and 0.002 < changed.mean() < 0.6 and not changed[0].any() and not changed[:, 0].any()
    assert np.array_equal(after[changed], 255 - before[changed])
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    assert [url for url in asked if not url.startswith((address, "data:", "blob:"))] == []


def paint(page):
    """A short stroke through the middle of the canvas."""
    canvas = page.locator("#editor canvas").first
    canvas.scroll_into_view_if_needed()
    box = canvas.bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.mouse.move(x - 10, y)
    page.mouse.down()
    for step in range(5):
        page.mouse.move(x - 10 + 5 * step, y)
        page.wait_for_timeout(100)
    page.mouse.up()
    page.wait_for_timeout(1000)
