"""The catalog as one document: export, compare, apply, and copy between environments."""
