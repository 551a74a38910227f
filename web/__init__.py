"""The web page and its HTTP API (``app.py``); needs requirements-app.txt."""
