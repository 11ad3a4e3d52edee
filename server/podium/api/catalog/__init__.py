"""The catalog as one document: exported, compared, applied, copied between environments."""
