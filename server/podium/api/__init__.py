"""The HTTP API, one folder a subject: ``app.py`` (``/v1``), ``admin.py`` (``/admin/v1``), ``queries.py`` (SQL).

Subjects don't import each other: what they share is a rule of the game or a helper of ``podium.http``.
"""
