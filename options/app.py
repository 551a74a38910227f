"""The options of app.py."""

from options.shared import Parser, add_device_options, integer, positive_float


def app_parser() -> Parser:
    """The options of app.py."""
    parser = Parser(
        prog="app.py",
        description="A web page on which photographs are filled, and the same as an HTTP API. Needs the packages of "
        "requirements-app.txt. Nothing is asked of any other machine.",
    )
    parser.add_argument(
        "--weights",
        metavar="FILE|DIR",
        help="a model that comes first; else weights/general does. Those under weights/ and of runs in logs/ can be "
        "chosen on the page",
    )
    parser.add_argument(
        "--host",
        default="127.0.0.1",
        help="address to listen on; this machine alone can reach the default, 0.0.0.0 is for all who can reach it",
    )
    parser.add_argument(
        "--port", type=integer(0, 65535), default=7860, metavar="N", help="port to listen on; 0 for a free one"
    )
    parser.add_argument(
        "--allow_host",
        action="append",
        default=[],
        metavar="NAME",
        help="a name by which browsers may reach the page, beside localhost and addresses in numbers; repeatable",
    )
    group = parser.add_argument_group("limits", "What a client may ask for; the page states it.")
    add = group.add_argument
    add("--max_megapixels", type=positive_float, default=40, metavar="X", help="of a photograph, in millions of pixels")
    add("--max_megabytes", type=positive_float, default=64, metavar="X", help="of a file")
    add(
        "--max_seconds",
        type=positive_float,
        default=120,
        metavar="X",
        help="of reading and filling, then it is given up",
    )
    add_device_options(parser)
    return parser
