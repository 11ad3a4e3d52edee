"""The spaces that this server holds: who they are, their keys, their catalogs, kept up to date."""
