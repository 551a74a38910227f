"""What the server answers, in English and Chinese. The page's own texts are in ``static/texts.json``."""

import re

from utils.errors import InputError, one_line

LANGUAGES = ("en", "zh")  # the first is for whoever prefers neither

# key: (status, English, Chinese)
MISTAKES: dict[str, tuple[int, str, str]] = {
    "no_picture": (400, "Expected a photograph, got none: choose one first.", "没有照片：请先选择一张。"),
    "no_hole": (
        400,
        "Expected something painted, or a mask, got neither: paint over what is to be filled.",
        "没有涂抹，也没有掩码：请涂抹要填充的部分。",
    ),
    "all_hole": (
        400,
        "Expected some known pixels, got a hole over the whole photograph: leave something to go by, or change which "
        "colour of the mask is the hole.",
        "空洞覆盖了整张照片：请留下可供参考的部分，或更改掩码中空洞的颜色。",
    ),
    "unreadable": (400, "This photograph cannot be used: {reason}", "这张照片无法使用：{reason}"),
    "bad_mask": (400, "This mask cannot be used: {reason}", "这个掩码无法使用：{reason}"),
    "bad_result": (400, "The result cannot be written so: {reason}", "结果无法这样写出：{reason}"),
    "bad_value": (400, "{reason}", "请求有误：{reason}"),
    "bad_form": (400, "Expected a form (multipart), got something else: {reason}", "请求不是有效的表单：{reason}"),
    "bad_http": (400, "Expected an HTTP request, got something else.", "不是有效的 HTTP 请求。"),
    "host": (
        403,
        "Expected a request for this server, got one for the host {name}: start app.py with --allow_host {name} if "
        "that is its name.",
        "请求的主机名 {name} 不是本服务器：如果确实是，请用 --allow_host {name} 启动 app.py。",
    ),
    "origin": (403, "Expected a request from this page, got one from another site.", "请求来自其他网站，已拒绝。"),
    "no_route": (404, "There is nothing at this address.", "这个地址没有内容。"),
    "gone": (
        404,
        "The photograph is no longer on the server: choose it again.",
        "服务器上已没有这张照片：请重新选择。",
    ),
    "method": (405, "Expected another method than {name} here.", "此处不支持 {name} 方法。"),
    "slow_body": (408, "The request took too long to arrive: send it again.", "请求传输过慢：请重新发送。"),
    "many_pixels": (
        413,
        "Expected {most} megapixels at most, got {got} ({width}x{height}): shrink the photograph.",
        "最多 {most} 百万像素，实际 {got}（{width}x{height}）：请缩小照片。",
    ),
    "many_bytes": (
        413,
        "Expected {most} MB at most, got more: shrink the file.",
        "最多 {most} MB，实际更大：请缩小文件。",
    ),
    "many_fields": (
        413,
        "Expected {most} {what} at most in a form, got more: send less.",
        "表单中最多 {most} {what}，实际更多：请减少。",
    ),
    "many_steps": (
        413,
        "Expected {most} fills of one photograph at most, got more: download it and open it again.",
        "一张照片最多填充 {most} 次：请下载后重新打开。",
    ),
    "no_model": (400, "Expected a model among {names}, got {name}.", "没有模型 {name}，可选：{names}。"),
    "bad_model": (400, "The model {name} cannot be used: {reason}", "模型 {name} 无法使用：{reason}"),
    "bug": (
        500,
        "Something went wrong that is not your mistake; the server's console tells more.",
        "程序出错，不是您的问题；详情见服务器的终端。",
    ),
    "busy": (
        503,
        "Expected {most} waiting at most, got more: try again in a minute.",
        "排队已满（最多 {most} 个）：请一分钟后再试。",
    ),
    "slow": (
        503,
        "Given up after {seconds} s: take a smaller photograph or a smaller hole.",
        "超过 {seconds} 秒，已放弃：请用更小的照片或空洞。",
    ),
    "memory": (503, "There was too little memory for it: take a smaller photograph.", "内存不足：请用更小的照片。"),
    "died": (
        503,
        "The work was ended by the system, most often for want of memory: take a smaller photograph.",
        "处理被系统中止（通常因内存不足）：请用更小的照片。",
    ),
    "ending": (503, "The server is being shut down.", "服务器正在关闭。"),
    "full": (
        507,
        "The server has no room left on its disk: try again later.",
        "服务器磁盘已满：请稍后再试。",
    ),
}


class Told(InputError):
    """A mistake of the user's, told in the user's language.

    Args:
        key: of ``MISTAKES``.
        values: what its text names.
    """

    def __init__(self, key: str, **values: object):
        self.key, self.values = key, {name: str(value) for name, value in values.items()}
        super().__init__(self.in_language("en"))

    @property
    def status(self) -> int:
        """Of HTTP."""
        return MISTAKES[self.key][0]

    def in_language(self, language: str) -> str:
        text = MISTAKES[self.key][1 + LANGUAGES.index(language)]
        return one_line(text.format(**self.values), 1000)


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
