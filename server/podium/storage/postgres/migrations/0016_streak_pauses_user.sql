-- A user's pauses are looked for by the user: replays, exports and erasing.

CREATE INDEX streak_pauses_user ON streak_pauses (space_id, user_id);
