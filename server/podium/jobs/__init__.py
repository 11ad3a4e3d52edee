"""The jobs of the worker: due ticks, reconciliation, backfills, final runs, rewards, retention."""
