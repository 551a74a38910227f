"""The web page and its HTTP API (``app.py``). ``page``, ``api`` and ``server`` need requirements-app.txt."""
