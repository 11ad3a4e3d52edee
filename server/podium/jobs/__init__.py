"""Work that happens by itself: due ticks, reconciliation, backfill, finals, rewards, retention."""
