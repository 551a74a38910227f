"""The options of app.py."""

from options.shared import Parser, add_device_options, adder, integer, positive_float


def app_parser() -> Parser:
    """The options of app.py."""
    parser = Parser(
        prog="app.py",
        description="A web page on which photographs are filled, and the same as an HTTP API. Needs the packages of "
        "requirements-app.txt. No other machine is contacted.",
    )
    add = adder(parser)
    add(
        "--weights",
        "FILE|DIR",
        "the model that is chosen at first, weights/general when not given. The page also offers those under weights/ "
        "and of runs in logs/",
    )
    add(
        "--host",
        "HOST",
        "address to listen on; the default is for this machine only, 0.0.0.0 for all that can reach it",
        "127.0.0.1",
    )
    add("--port", integer(0, 65535), "port to listen on; 0 for a free one", 7860)
    parser.add_argument(
        "--allow_host",
        action="append",
        default=[],
        metavar="NAME",
        help="a name by which browsers may reach the page, besides localhost and numeric addresses; repeatable",
    )
    group = parser.add_argument_group("limits", "What a client may ask for; the page states it.")
    add = adder(group)
    add("--max_megapixels", positive_float, "size of a photograph, in millions of pixels", 40)
    add("--max_megabytes", positive_float, "size of a file", 64)
    add("--max_seconds", positive_float, "time for reading and filling; what takes longer is given up", 120)
    add_device_options(parser)
    return parser
