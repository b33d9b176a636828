"""Saving of fitted estimators in folders of plain arrays, and loading, which runs no code of the files."""

from sklrank.storage._save import load, save

__all__ = ["load", "save"]
