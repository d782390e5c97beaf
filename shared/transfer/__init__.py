"""The catalog as a file: export, import, and what another proxy's configuration becomes here."""
