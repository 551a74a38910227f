"""The page in headless Chromium, over a server whose network is a stand-in (it fills with the negative).

Needs playwright and an installed Chromium (``chromium`` on the path); skipped where either is missing.
"""

import io
import shutil

import numpy as np
import pytest
from PIL import Image

from tests.web.conftest import first_pixel, mask_of, noise, pixels_of, png, until
from tests.web.stand_in import SLOW

pytest.importorskip("uvicorn")
sync_api = pytest.importorskip("playwright.sync_api")

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="needs a Chromium")
QUIET = ("quic", "background-networking", "component-update", "sync")
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--no-first-run", *(f"--disable-{name}" for name in QUIET)]
SIZE = (90, 120)  # height and width of the photographs


@pytest.fixture(scope="module")
def browser():
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture
def visit(browser, client):
    """Opens the page; at the end nothing may have been logged, nor asked of another server."""
    contexts, complaints = [], []

    def visit(**settings):
        settings = {"viewport": {"width": 1280, "height": 900}, "locale": "en-US", **settings}
        contexts.append(browser.new_context(**settings))
        page = contexts[-1].new_page()
        page.set_default_timeout(60_000)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("console", lambda line: complaints.append(line.text) if "status of" not in line.text else None)
        page.on("request", lambda request: own(request.url))
        page.goto(client.address)
        page.wait_for_selector("body[data-ready]")
        return page

    def own(url):
        if not url.startswith((client.address, "blob:")):
            complaints.append(url)

    yield visit
    for context in contexts:
        context.close()
    assert complaints == []


def upload(page, pixels, name="photo.png", format="png"):
    content = png(pixels, format)
    page.set_input_files("#file", {"name": name, "mimeType": f"image/{format}", "buffer": content})
    settle(page, name)
    return pixels_of(content)


def load_mask(page, content):
    page.set_input_files("#mask_file", {"name": "m.png", "mimeType": "image/png", "buffer": content})


def place(page, x, y, width=SIZE[1], height=SIZE[0]):
    """Where a pixel of the photograph, which fits the window, is on the screen."""
    box = page.locator("#board").bounding_box()
    scale = min((box["width"] - 24) / width, (box["height"] - 24) / height, 8)
    left, top = box["x"] + (box["width"] - width * scale) / 2, box["y"] + (box["height"] - height * scale) / 2
    return left + (x + 0.5) * scale, top + (y + 0.5) * scale


def drag(page, start, end, **size):
    page.mouse.move(*place(page, *start, **size))
    page.mouse.down()
    page.mouse.move(*place(page, *end, **size), steps=5)
    page.mouse.up()


def settle(page, text="Filled"):
    """Wait for an answer, which the next one is not to be taken for."""
    page.wait_for_function("text => document.querySelector('#status').textContent.includes(text)", arg=text)
    page.wait_for_selector("#cancel", state="hidden")
    page.evaluate("document.querySelector('#status').textContent = ''")


def colour_at(page, x, y, **size):
    """What the canvas shows for a pixel of the photograph."""
    box = page.locator("#board").bounding_box()
    across, down = place(page, x, y, **size)
    picture = Image.open(io.BytesIO(page.screenshot(clip=box))).convert("RGB")
    scale = picture.width / box["width"]
    return picture.getpixel((int((across - box["x"]) * scale), int((down - box["y"]) * scale)))


def shows_now(page, x, y, colour):
    return all(abs(int(a) - int(b)) <= 12 for a, b in zip(colour_at(page, x, y), colour, strict=True))


def shows(page, *pixels):
    """Whether the canvas comes to show the colours of (x, y, colour); it is drawn a moment after what changes it."""
    return until(lambda: all(shows_now(page, *pixel) for pixel in pixels))


def downloaded(page):
    with page.expect_download() as download:
        page.click("#download")
    return download.value.suggested_filename, pixels_of(download.value.path().read_bytes())


def blocks():
    """Large squares of one colour, so that a pixel can be told on the screen."""
    return noise(SIZE[0] // 10, SIZE[1] // 10, seed=3).repeat(10, axis=0).repeat(10, axis=1)


def test_two_objects_undo_redo_before_after_extend_and_download(visit):
    page = visit()
    before = upload(page, blocks(), "假期 2.png")
    page.evaluate(
        "document.querySelector('#size').value = 10; document.querySelector('#size').dispatchEvent(new Event('input'))"
    )
    ours, others = (25, 25, before[25, 25]), (85, 65, before[65, 85])
    our_fill, other_fill = (25, 25, 255 - before[25, 25]), (85, 65, 255 - before[65, 85])
    drag(page, (25, 25), (35, 25))
    assert until(lambda: not shows_now(page, *ours))  # tinted
    page.keyboard.press("Enter")
    settle(page)
    drag(page, (85, 65), (95, 65))
    page.click("#fill")
    settle(page)
    page.mouse.move(5, 500)
    assert shows(page, our_fill, other_fill) and page.is_disabled("#redo")
    page.keyboard.press("Control+z")  # the second fill
    assert until(lambda: not shows_now(page, *other_fill)) and shows(page, our_fill)
    page.keyboard.press("Control+z")  # its stroke
    assert shows(page, our_fill, others)
    page.keyboard.press("Control+Shift+Z")
    page.keyboard.press("Control+Shift+Z")
    assert shows(page, our_fill, other_fill) and page.is_disabled("#redo")
    page.evaluate("for (const _ of 'ab') document.querySelector('#undo').click()")  # before a photograph is decoded
    page.wait_for_timeout(500)
    assert shows(page, our_fill, others)
    page.evaluate("for (const _ of 'ab') document.querySelector('#redo').click()")
    assert shows(page, our_fill, other_fill) and page.is_disabled("#redo")

    page.keyboard.down("Tab")
    page.wait_for_timeout(400)  # for less it moves the focus
    assert shows(page, ours)
    page.keyboard.up("Tab")
    assert shows(page, our_fill)
    page.locator("#compare").fill("50")
    assert shows(page, ours, other_fill)
    page.locator("#compare").fill("0")

    name, after = downloaded(page)
    changed = (after != before).any(axis=2)
    assert name == "假期 2.png" and after.shape == before.shape and 0.002 < changed.mean() < 0.2
    assert np.array_equal(after[changed], 255 - before[changed]) and changed[25, 25] and changed[65, 85]

    page.fill("#extend_left", "30")
    page.fill("#extend_bottom", "10")
    page.click("#extend")
    settle(page, "150 × 100")
    _, extended = downloaded(page)
    assert extended.shape == (100, 150, 3) and np.array_equal(extended[:90, 30:], after)
    drag(page, (20, 95), (25, 95), width=150, height=100)
    page.click("#fill")
    settle(page)
    _, last = downloaded(page)
    assert np.array_equal(last[:80, 30:], after[:80])


def test_touch_on_a_phone(visit):
    page = visit(viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True)
    before = upload(page, blocks())
    session = page.context.new_cdp_session(page)

    def touch(kind, *points):
        places = [dict(zip("xy", place(page, *point), strict=True)) | {"id": i} for i, point in enumerate(points)]
        session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": places})

    touch("touchStart", (40, 45))
    for x in range(45, 80, 5):
        touch("touchMove", (x, 45))
    touch("touchEnd")
    touch("touchStart", (30, 20))  # two fingers zoom and leave no stroke
    touch("touchStart", (30, 20), (60, 20))
    touch("touchMove", (10, 20), (90, 20))
    touch("touchEnd")
    page.tap("#fit")
    page.tap("#fill")
    settle(page)
    assert page.evaluate("document.documentElement.scrollWidth <= 390 && document.documentElement.scrollHeight <= 844")
    _, after = downloaded(page)
    changed = (after != before).any(axis=2)
    assert changed[45, 60] and not changed[:30].any() and np.array_equal(after[changed], 255 - before[changed])
    page.tap("#options")
    assert page.is_visible("#panel") and page.is_visible("#close_options")


def test_chinese_throughout(visit, client):
    page = visit(locale="zh-CN", color_scheme="dark")
    assert page.evaluate("document.documentElement.lang") == "zh-CN"
    upload(page, blocks())
    words = page.evaluate(
        "[...document.querySelectorAll('button, label, legend, h1, p')].map(e => e.innerText + e.title)"
    )
    latin = [word for word in words if word.strip() and not any("\u4e00" <= letter <= "\u9fff" for letter in word)]
    assert [word.strip() for word in latin] == ["English", "x", "y"]
    page.set_input_files("#file", {"name": "a.png", "mimeType": "image/png", "buffer": b"no picture"})
    settle(page, "无法使用")
    page.click("#language")
    assert page.inner_text("#fill") == "Fill" and page.evaluate("document.documentElement.lang") == "en"
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(22, 24, 29)"


def test_keyboard_alone(visit):
    page = visit()
    photo = {"name": "photo.png", "mimeType": "image/png", "buffer": png(blocks())}
    page.on("filechooser", lambda chooser: chooser.set_files(photo))
    page.focus("#open_first")
    page.keyboard.press("Enter")
    settle(page, "photo.png")

    def leave_canvas():
        page.keyboard.press("Tab")
        return page.evaluate("document.activeElement.id") == "tool_brush"

    assert until(leave_canvas)  # by a short press; on a busy machine some are long
    page.focus("#box_x")
    for number in ("10", "20", "30", "5"):
        page.keyboard.type(number)
        page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.id") == "add_box"
    page.keyboard.press("Enter")
    settle(page, "Box added")
    page.focus("#fill")
    page.keyboard.press("Space")
    settle(page)
    page.focus("#download")
    with page.expect_download() as download:
        page.keyboard.press("Enter")
    changed = (pixels_of(download.value.path().read_bytes()) != blocks()).any(axis=2)
    expected = np.zeros(SIZE, bool)
    expected[20:25, 10:40] = True
    assert np.array_equal(changed, expected)
    unnamed = page.evaluate(
        "[...document.querySelectorAll('button, input:not([hidden]), select, canvas')]"
        ".filter(e => !(e.labels?.length || e.getAttribute('aria-label') || e.textContent.trim())).map(e => e.id)"
    )
    assert unnamed == []


def test_polygon_eraser_masks_and_fill_at_the_end_of_a_stroke(visit, tmp_path):
    page = visit()
    before = upload(page, blocks(), "photo.jpg", "jpeg")
    page.check("#lossless")
    page.keyboard.press("p")
    for corner in ((10, 10), (50, 10), (50, 50)):
        page.mouse.click(*place(page, *corner))
    page.keyboard.press("Enter")
    page.keyboard.press("e")
    drag(page, (48, 40), (48, 50))
    with page.expect_download() as download:
        page.click("#mask_save")
    assert download.value.suggested_filename == "photo_mask.png"
    mask = np.array(Image.open(download.value.path()).convert("L"))
    assert set(np.unique(mask)) == {0, 255} and mask.shape == SIZE and mask[12, 40] == 255 and mask[45, 48] == 0
    page.click("#fill")
    settle(page)
    name, after = downloaded(page)
    changed = (after != before).any(axis=2)
    assert name == "photo.png" and np.array_equal(changed, mask > 0)

    load_mask(page, mask_of(45, 60, (0, 5, 0, 6)))
    page.wait_for_selector("#clear:enabled")
    page.keyboard.press("Enter")
    settle(page)
    _, loaded = downloaded(page)
    assert np.array_equal((loaded != after).any(axis=2)[:10, :12], np.ones([10, 12], bool))
    load_mask(page, mask_of(60, 45, (0, 5, 0, 6)))
    settle(page, "aspect ratio")
    page.click("#again")
    settle(page)
    assert np.array_equal(downloaded(page)[1], loaded)

    page.check("#auto")
    page.keyboard.press("r")
    page.focus("#board")
    drag(page, (90, 70), (100, 80))
    settle(page)
    assert (downloaded(page)[1] != loaded)[71:79, 91:99].any(axis=2).all()


def test_cancel_drop_paste_zoom_and_copy(visit, client):
    page = visit(permissions=["clipboard-read", "clipboard-write"])
    slow = png(first_pixel(SLOW))
    give = """([kind, bytes]) => {
        const data = new DataTransfer();
        data.items.add(new File([new Uint8Array(bytes)], kind + ".png", { type: "image/png" }));
        const event = kind === "drop" ? new DragEvent("drop", { dataTransfer: data, bubbles: true })
                                      : new ClipboardEvent("paste", { clipboardData: data, bubbles: true });
        document.body.dispatchEvent(event);
    }"""
    page.evaluate(give, ["drop", list(slow)])
    settle(page, "drop.png")
    drag(page, (20, 20), (30, 20), width=60, height=40)
    page.keyboard.press("Enter")
    page.wait_for_selector("#bar")
    page.click("#cancel")
    settle(page, "Cancelled")
    page.evaluate(give, ["paste", list(png(blocks()))])
    settle(page, "paste.png")
    first = place(page, 0, 0)
    page.mouse.move(*place(page, 60, 45))
    page.mouse.wheel(0, -500)
    page.keyboard.down("Space")
    drag(page, (60, 45), (50, 45))
    page.keyboard.up("Space")
    assert not page.is_enabled("#clear") and place(page, 0, 0) == first  # panned, not painted
    page.keyboard.press("0")
    page.click("#copy")
    settle(page, "clipboard")
    content = page.evaluate(
        """async () => {
            const [item] = await navigator.clipboard.read();
            return [...new Uint8Array(await (await item.getType("image/png")).arrayBuffer())];
        }"""
    )
    assert np.array_equal(pixels_of(bytes(content))[..., :3], blocks())
