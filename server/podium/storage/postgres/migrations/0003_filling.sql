-- Leaderboards that earlier events were counted on (writebehind/filling.py).
CREATE TABLE board_fills (
    space_id    integer NOT NULL,
    leaderboard integer NOT NULL,
    filled_at   timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (space_id, leaderboard)
);
-- Those that were there before keep what they have: who was taken off them must not come back.
INSERT INTO board_fills (space_id, leaderboard)
SELECT space_id, number FROM catalog_items WHERE kind = 'leaderboard' AND body ->> 'status' <> 'inactive';
