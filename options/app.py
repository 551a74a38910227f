"""The options of app.py."""

from options.shared import Parser, add_device_options, adder, integer, positive_float


def app_parser() -> Parser:
    """The options of app.py."""
    parser = Parser(
        prog="app.py",
        description="A web page on which photographs are filled, and the same as an HTTP API. Needs the packages of "
        "requirements-app.txt. Nothing is asked of any other machine.",
    )
    add = adder(parser)
    add(
        "--weights",
        "FILE|DIR",
        "a model that comes first; else weights/general does. Those under weights/ and of runs in logs/ can be "
        "chosen on the page",
    )
    add(
        "--host",
        "HOST",
        "address to listen on; this machine alone can reach the default, 0.0.0.0 is for all who can reach it",
        "127.0.0.1",
    )
    add("--port", integer(0, 65535), "port to listen on; 0 for a free one", 7860)
    parser.add_argument(
        "--allow_host",
        action="append",
        default=[],
        metavar="NAME",
        help="a name by which browsers may reach the page, beside localhost and addresses in numbers; repeatable",
    )
    group = parser.add_argument_group("limits", "What a client may ask for; the page states it.")
    add = adder(group)
    add("--max_megapixels", positive_float, "of a photograph, in millions of pixels", 40)
    add("--max_megabytes", positive_float, "of a file", 64)
    add("--max_seconds", positive_float, "of reading and filling, then it is given up", 120)
    add_device_options(parser)
    return parser
