"""Every text of the web page and its HTTP API, in English and Chinese.

The page's fixed texts follow the language of the browser by themselves (``gradio.I18n``); what the server answers
follows the Accept-Language that comes with the request.
"""

import re

from utils.errors import InputError, one_line

LANGUAGES = ("en", "zh")  # the first is for whoever prefers neither

PAGE: dict[str, tuple[str, str]] = {
    "title": ("# Fill holes in photographs", "# 填补照片中的空洞"),
    "intro": (
        "Choose a photograph, paint over what is to go, and press Fill. Pixels outside the hole stay as they are. "
        "The photograph goes to this page's own server and nowhere else.",
        "选择一张照片，涂抹要去掉的部分，然后点“填充”。空洞以外的像素保持不变。照片只发送到本页面所在的服务器。",
    ),
    "picture": ("1. Photograph", "1. 照片"),
    "samples": ("Samples:", "样例："),
    "sample_face": ("Face", "人脸"),
    "sample_coffee": ("Coffee", "咖啡"),
    "sample_chelsea": ("Cat", "猫"),
    "paint": ("2. Paint over what is to be filled", "2. 涂抹要填充的部分"),
    "more": ("Mask file, model and more", "掩码文件、模型及其他"),
    "mask": ("Mask file (black and white, the photograph's aspect ratio)", "掩码文件（黑白，宽高比与照片一致）"),
    "white": ("White in the mask file is the hole", "掩码文件中白色为空洞"),
    "dilate": ("Grow the hole by (pixels of the photograph)", "空洞向外扩大（照片像素）"),
    "model": ("Model", "模型"),
    "lossless": (
        "Lossless: PNG where the photograph is JPEG or lossy WebP",
        "无损：照片为 JPEG 或有损 WebP 时写成 PNG",
    ),
    "fill": ("3. Fill", "3. 填充"),
    "compare": ("Before and after", "填充前后对比"),
    "views": ("Input, mask, result", "输入、掩码、结果"),
    "download": ("Download at full size", "下载原尺寸结果"),
}

SERVER: dict[str, tuple[str, str]] = {
    "limits": (
        "Limits: {megabytes} MB a file, {megapixels} megapixels; a fill that takes longer than {seconds} s is given "
        "up. JPEG, PNG, WebP, TIFF or BMP. One is filled at a time, {waiting} may wait. Files are deleted after "
        "{minutes} minutes.",
        "限制：每个文件 {megabytes} MB，{megapixels} 百万像素；填充超过 {seconds} 秒则放弃。"
        "支持 JPEG、PNG、WebP、TIFF、BMP。一次填充一张，最多 {waiting} 个等待。文件在 {minutes} 分钟后删除。",
    ),
    "loaded": (
        "{name}: {width}x{height} pixels. Paint over what is to go.",
        "{name}：{width}x{height} 像素。请涂抹要去掉的部分。",
    ),
    "done": (
        "Filled in {seconds} s: {share} of {width}x{height} pixels, model {model}.",
        "用时 {seconds} 秒：填充了 {width}x{height} 像素中的 {share}，模型 {model}。",
    ),
    "lossy": (
        "{format} codes every pixel once more, so known ones change a little; Lossless keeps them bit for bit.",
        "{format} 会把每个像素重新编码，已知像素因此略有变化；选“无损”则逐位不变。",
    ),
    "note": ("Note: {note}", "说明：{note}"),
    "large_hole": (
        "The hole covers {share} of the photograph. If the mask was meant the other way round, change which colour is "
        "the hole.",
        "空洞占照片的 {share}。如果掩码的黑白弄反了，请更改空洞的颜色。",
    ),
    "input": ("input", "输入"),
    "hole": ("mask", "掩码"),
    "result": ("result", "结果"),
    # what went wrong
    "no_picture": ("Expected a photograph, got none: choose one first.", "没有照片：请先选择一张。"),
    "no_hole": (
        "Expected something painted, or a mask, got neither: paint over what is to be filled.",
        "没有涂抹，也没有掩码：请涂抹要填充的部分。",
    ),
    "all_hole": (
        "Expected some known pixels, got a hole over the whole photograph: leave something to go by, or change which "
        "colour of the mask is the hole.",
        "空洞覆盖了整张照片：请留下可供参考的部分，或更改掩码中空洞的颜色。",
    ),
    "unreadable": ("This photograph cannot be used: {reason}", "这张照片无法使用：{reason}"),
    "bad_mask": ("This mask cannot be used: {reason}", "这个掩码无法使用：{reason}"),
    "bad_result": ("The result cannot be written so: {reason}", "结果无法这样写出：{reason}"),
    "bad_value": ("{reason}", "请求有误：{reason}"),
    "many_pixels": (
        "Expected {most} megapixels at most, got {got} ({width}x{height}): shrink the photograph.",
        "最多 {most} 百万像素，实际 {got}（{width}x{height}）：请缩小照片。",
    ),
    "many_bytes": ("Expected {most} MB at most, got more: shrink the file.", "最多 {most} MB，实际更大：请缩小文件。"),
    "no_model": ("Expected a model among {names}, got {name}.", "没有模型 {name}，可选：{names}。"),
    "bad_model": ("The model {name} cannot be used: {reason}", "模型 {name} 无法使用：{reason}"),
    "busy": (
        "Expected {most} waiting at most, got more: try again in a minute.",
        "排队已满（最多 {most} 个）：请一分钟后再试。",
    ),
    "slow": (
        "Given up after {seconds} s: take a smaller photograph or a smaller hole.",
        "超过 {seconds} 秒，已放弃：请用更小的照片或空洞。",
    ),
    "memory": (
        "There was too little memory for it: take a smaller photograph.",
        "内存不足：请用更小的照片。",
    ),
    "gone": (
        "The photograph is no longer on the server: choose it again.",
        "服务器上已没有这张照片：请重新选择。",
    ),
    "bug": (
        "Something went wrong that is not your mistake; the server's console tells more.",
        "程序出错，不是您的问题；详情见服务器的终端。",
    ),
}


class Told(InputError):
    """A mistake of the user's that is told in the user's language.

    Args:
        key: of ``SERVER``.
        values: what its text names; of one that is an error, its line.
    """

    def __init__(self, key: str, **values: object):
        self.key, self.values = key, values
        super().__init__(say("en", key, **values))

    def in_language(self, language: str) -> str:
        return say(language, self.key, **self.values)


def say(language: str, key: str, **values: object) -> str:
    """A text of ``PAGE`` or ``SERVER`` in a language.

    Example:
        >>> say("zh", "result"), say("en", "no_model", names="general", name="x")
        ('结果', 'Expected a model among general, got x.')
    """
    text = {**PAGE, **SERVER}[key][LANGUAGES.index(language)]
    return one_line(text.format(**values))


def language_of(accepted: str | None) -> str:
    """The language that an Accept-Language header likes best, of those that there are texts in.

    Example:
        >>> language_of("zh-CN,zh;q=0.9,en;q=0.8"), language_of("fr, en;q=0.5, zh;q=0.4"), language_of(None)
        ('zh', 'en', 'en')
    """
    liked: dict[str, float] = {}
    for part in (accepted or "")[:1000].split(","):
        if found := re.fullmatch(r"\s*([A-Za-z]{1,8})(?:-[\w-]*)?\s*(?:;\s*q=([01](?:\.[0-9]{0,3})?))?\s*", part):
            language = found[1].lower()
            liked[language] = max(liked.get(language, 0.0), float(found[2] or 1))
    return max(LANGUAGES, key=lambda language: liked.get(language, 0.0))


def page_texts(language: str) -> dict[str, str]:
    """All of ``PAGE`` in a language, by key."""
    return {key: say(language, key) for key in PAGE}
