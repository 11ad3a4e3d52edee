"""Spaces, their keys and catalogs: the directory of a process, their storage, and reads of users."""
