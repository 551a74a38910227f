"""The command of the web page: its mistakes, and that it serves this machine alone unless told otherwise."""

import importlib.util
import socket

import pytest

import app
from options import app_parser
from utils.errors import InputError


def test_it_listens_for_this_machine_alone():
    assert app.is_loopback(app_parser().parse_args([]).host)
    assert not app.is_loopback("192.0.2.1") and not app.is_loopback("example")


def test_without_its_packages_it_says_what_to_install(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(InputError, match=r"requirements-app\.txt"):
        app.main([])


def test_a_port_that_is_taken_and_a_strange_host_are_told():
    pytest.importorskip("uvicorn")
    from web.server import listen

    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(OSError, match="in use"):
        listen("127.0.0.1", taken.getsockname()[1])
    with pytest.raises(InputError, match="--host"):
        listen("no such host", 7860)
