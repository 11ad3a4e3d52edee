"""The HTTP API, one folder per subject: ``app.py`` (``/v1``), ``admin.py`` (``/admin/v1``), ``queries.py`` (SQL).

Subjects don't import each other. Shared code is a rule of ``podium.game`` or a helper of ``podium.http``.
"""
