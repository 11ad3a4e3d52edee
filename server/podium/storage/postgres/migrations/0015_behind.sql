-- Lateness is judged by the newest event of the metric; what hangs on several metrics by the user's newest event.

ALTER TABLE events ADD COLUMN behind boolean NOT NULL DEFAULT false;
COMMENT ON COLUMN events.behind IS 'moved no repeating board by points or streak, and no streak; late ones are, too';
COMMENT ON COLUMN events.late IS 'moved of the boards by its metric the perpetual ones only';
