"""The page: photograph, strokes, mask and options in; before and after, mask, result and its file out.

Strokes are painted over a preview and brought to the photograph's size, so that what the browser's canvas does to
colours reaches no result. What a client names is looked up among the files that it sent (``_refuse_addresses``,
``serve``) and the names of models; nothing else of the disk, and no address, is read for it.
"""

import secrets
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path

import gradio as gr
import numpy as np

from datasets.holes import Marks
from datasets.images import write_picture
from inpainting.jobs import SAMPLES
from inpainting.views import for_viewing
from options.bounds import BOUNDS
from web.answers import escape, in_words, strokes_of, summary, views
from web.limits import DECODERS, KEPT, WAITING
from web.texts import LANGUAGES, Told, language_of, page_texts, say
from web.worker import Order, Worker, open_photograph, stay

BRUSH = "rgba(255, 0, 255, 0.7)"
LONGEST_GROWTH = 64  # pixels, of the slider
LOCALES = {"en": ("en",), "zh": ("zh", "zh-CN", "zh-TW", "zh-HK")}
CSS = """
.gradio-container { width: 100%; max-width: 1080px !important; margin: 0 auto !important; }
.gradio-container .main { min-width: 0; max-width: 100%; }
#status p { font-size: 1.05em; }
#editor { touch-action: none; }
#samples { align-self: center; }
"""


def build_page(worker: Worker) -> tuple[gr.Blocks, gr.I18n]:
    """The page, and its texts in all languages."""
    i18n = gr.I18n(**{locale: page_texts(lang) for lang in LANGUAGES for locale in LOCALES[lang]})
    with gr.Blocks(analytics_enabled=False, title="paddle-pconv", delete_cache=None) as page:
        gr.Markdown(i18n("title"), elem_id="title")
        gr.Markdown(i18n("intro"))
        limits = gr.Markdown(elem_id="limits")
        with gr.Row():
            with gr.Column(min_width=300):
                picture, samples = _picture_inputs(i18n)
                editor = _editor(i18n)
            with gr.Column(min_width=300):
                options = _options(i18n, worker)
                button = gr.Button(i18n("fill"), variant="primary", elem_id="fill")
                status = gr.Markdown(elem_id="status")
                with gr.Column(visible=False, min_width=0) as results:
                    shown = _results(i18n)
        outputs = [status, results, *shown]
        page.load(_limits_text(worker), None, limits, api_visibility="private", queue=False)
        for name, sample in samples.items():
            sample.click(_sample(worker, name), None, picture, api_visibility="private")
        picture.change(
            _on_picture(worker),
            picture,
            [editor, *outputs],
            api_visibility="private",
            concurrency_limit=DECODERS,
            show_progress="minimal",
        )
        button.click(
            _on_fill(worker),
            [picture, editor, *options],
            outputs,
            api_visibility="private",
            concurrency_limit=1,
            show_progress_on=status,
        )
    for taken in (picture, editor, options[0]):
        _refuse_addresses(taken)
    page.queue(max_size=WAITING)
    return page, i18n


def _picture_inputs(i18n: gr.I18n) -> tuple[gr.File, dict[str, gr.Button]]:
    picture = gr.File(label=i18n("picture"), file_types=["image"], height=130, elem_id="picture")
    with gr.Row():
        gr.Markdown(i18n("samples"), elem_id="samples")
        samples = {
            name: gr.Button(i18n(f"sample_{name}"), size="sm", min_width=60, elem_id=f"sample_{name}")
            for name in SAMPLES
        }
    return picture, samples


def _editor(i18n: gr.I18n) -> gr.ImageEditor:
    editor = gr.ImageEditor(
        label=i18n("paint"),
        type="numpy",
        format="png",
        sources=(),
        transforms=(),
        layers=False,
        brush=_brush(600),
        buttons=["fullscreen"],
        visible=False,
        elem_id="editor",
    )
    editor.blob_storage = Latest()
    return editor


def _brush(side: int) -> gr.Brush:
    """For a preview whose shorter side has so many pixels."""
    return gr.Brush(default_size=max(side // 20, 2), colors=[BRUSH], color_mode="fixed")


class Latest(OrderedDict):
    """Of what browsers send ahead of a request, as Gradio keeps it, the latest: some are never asked for."""

    def __setitem__(self, key, value):
        super().__setitem__(key, value)
        while len(self) > WAITING + 1:
            self.popitem(last=False)


def _options(i18n: gr.I18n, worker: Worker) -> list[gr.components.Component]:
    """As ``_on_fill`` takes them."""
    names = list(worker.models)
    with gr.Accordion(i18n("more"), open=False, elem_id="more"):
        return [
            gr.File(label=i18n("mask"), file_types=["image"], height=130, elem_id="mask"),
            gr.Checkbox(True, label=i18n("white"), elem_id="white"),
            gr.Slider(0, min(LONGEST_GROWTH, BOUNDS["dilate"].most), 0, step=1, label=i18n("dilate")),
            gr.Dropdown(names, value=names[0], label=i18n("model"), elem_id="model"),
            gr.Checkbox(False, label=i18n("lossless"), elem_id="lossless"),
        ]


def _results(i18n: gr.I18n) -> list[gr.components.Component]:
    """As ``views`` fills them."""
    return [
        gr.ImageSlider(label=i18n("compare"), format="png", buttons=["fullscreen"], elem_id="compare"),
        gr.DownloadButton(i18n("download"), elem_id="download"),
        gr.Gallery(
            label=i18n("views"),
            format="png",
            columns=3,
            height=210,
            object_fit="contain",
            elem_id="views",
            buttons=["fullscreen"],
        ),
    ]


def _limits_text(worker: Worker) -> Callable:
    limits = worker.limits

    def text(request: gr.Request) -> str:
        return say(
            _language(request),
            "limits",
            megabytes=f"{limits.megabytes:g}",
            megapixels=f"{limits.megapixels:g}",
            seconds=f"{limits.seconds:g}",
            waiting=WAITING,
            minutes=KEPT // 60,
        )

    return text


def _sample(worker: Worker, name: str) -> Callable:
    def write() -> str:
        path = worker.folder / secrets.token_hex(16) / f"{name}.png"
        write_picture(path, SAMPLES[name]())
        return str(path)

    return write


def _on_picture(worker: Worker) -> Callable:
    """A photograph was chosen or taken away: show it to paint on, and no result of another."""
    nothing = [gr.update(visible=False), None, None, None]

    def show(picture: str | None, request: gr.Request) -> list:
        language = _language(request)
        if picture is None:
            return [gr.update(value=None, visible=False), "", *nothing]
        path = Path(picture)
        try:
            stay(path, worker.folder)
            photograph = open_photograph(path, worker.limits)
        except Exception as error:
            return [gr.update(value=None, visible=False), f"⚠ {in_words(error, language)}", *nothing]
        height, width = photograph.size
        preview, _, _ = for_viewing(photograph.pixels, np.zeros(photograph.size, bool), photograph.pixels)
        loaded = say(language, "loaded", name=path.name, width=width, height=height)
        value = {"background": preview, "layers": [], "composite": None}
        return [gr.update(value=value, brush=_brush(min(preview.shape[:2])), visible=True), escape(loaded), *nothing]

    return show


def _on_fill(worker: Worker) -> Callable:
    """The button: one photograph filled by the worker, and its result shown."""

    def fill(picture, editor, mask, white, dilate, model, lossless, request: gr.Request) -> list:
        language = _language(request)
        try:
            marks = Marks(file=mask and Path(mask), white=bool(white), dilate=_pixels(dilate))
            order = Order(picture and Path(picture), marks, strokes_of(editor), model, None, bool(lossless))
            if order.picture:
                stay(order.picture, worker.folder)
            filled = worker.submit(order).result()
        except Exception as error:
            return [f"⚠ {in_words(error, language)}", gr.update(visible=False), None, None, None]
        return [summary(filled, language), gr.update(visible=True), *views(filled, language)]

    return fill


def _pixels(value: object) -> int:
    """What the slider says; a client may send anything."""
    if not (isinstance(value, int | float) and 0 <= value <= LONGEST_GROWTH):
        raise Told("bad_value", reason=f"dilate: expected 0 to {LONGEST_GROWTH}, got something else")
    return int(value)


def _language(request: gr.Request) -> str:
    return language_of(request.headers.get("accept-language"))


def _refuse_addresses(component: gr.components.Component) -> None:
    """Gradio would fetch a file whose path is an address, for whoever sends one; here only what was sent is read."""
    move = component.async_move_resource_to_block_cache

    async def move_own(path):
        if path is not None and "://" in str(path):
            raise gr.Error("expected an uploaded file, got an address", print_exception=False)
        return await move(path)

    component.async_move_resource_to_block_cache = move_own
