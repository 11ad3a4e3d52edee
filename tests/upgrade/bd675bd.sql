SELECT pg_catalog.set_config('search_path', '', false);
CREATE FUNCTION public.folded(text) RETURNS text
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    AS $_$
    SELECT btrim(regexp_replace(lower(
        CASE WHEN octet_length($1) = char_length($1) THEN $1
        ELSE regexp_replace(normalize($1, NFKD), '[\u0300-\u036f\u0483-\u0487\u064b-\u065f]', '', 'g') END
    ), '\s+', ' ', 'g'))
$_$;
CREATE FUNCTION public.keep_user_words() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
BEGIN
    IF TG_OP <> 'INSERT' THEN
        DELETE FROM user_words WHERE space_id = OLD.space_id AND user_id = OLD.id;
    END IF;
    IF TG_OP <> 'DELETE' THEN
        INSERT INTO user_words (space_id, user_id, word)
        SELECT NEW.space_id, NEW.id, unnest(search_words(NEW.name, NEW.email)) ON CONFLICT DO NOTHING;
    END IF;
    RETURN NULL;
END
$$;
CREATE FUNCTION public.search_words(name text, email text) RETURNS text[]
    LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
    AS $$
DECLARE
    words text[] := '{}';
    rest text := folded(name);
    space int;
BEGIN
    WHILE rest <> '' AND cardinality(words) < 8 LOOP
        words := words || left(rest, 100);
        space := strpos(rest, ' ');
        EXIT WHEN space = 0;
        rest := substr(rest, space + 1);
    END LOOP;
    RETURN CASE WHEN email <> '' THEN words || left(folded(email), 100) ELSE words END;
END
$$;
CREATE TABLE public.achievement_completions (
    space_id integer NOT NULL,
    achievement integer NOT NULL,
    user_id text NOT NULL COLLATE pg_catalog."C",
    at_ms bigint NOT NULL,
    silent boolean NOT NULL
);
CREATE TABLE public.achievement_counts (
    space_id integer NOT NULL,
    achievement integer NOT NULL,
    completions bigint NOT NULL
)
WITH (fillfactor='70');
CREATE TABLE public.alembic_version (
    version_num character varying(32) NOT NULL
);
CREATE TABLE public.api_keys (
    id uuid NOT NULL,
    space_id integer NOT NULL,
    name text NOT NULL,
    prefix text NOT NULL,
    hash bytea NOT NULL,
    capabilities text[] DEFAULT '{admin}'::text[] NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    revoked_at timestamp with time zone,
    user_id text COLLATE pg_catalog."C"
);
COMMENT ON COLUMN public.api_keys.hash IS 'SHA-256 of the whole key; the key itself is shown once and not kept';
COMMENT ON COLUMN public.api_keys.user_id IS 'an application key: may act for this user only';
CREATE TABLE public.audit_log (
    id bigint NOT NULL,
    space_id integer NOT NULL,
    at timestamp with time zone DEFAULT now() NOT NULL,
    actor text NOT NULL,
    action text NOT NULL,
    kind text NOT NULL,
    item text NOT NULL,
    before jsonb,
    after jsonb
);
ALTER TABLE public.audit_log ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME public.audit_log_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);
CREATE TABLE public.board_days (
    space_id integer NOT NULL,
    leaderboard integer NOT NULL,
    run text NOT NULL COLLATE pg_catalog."C",
    day date NOT NULL,
    changes bigint NOT NULL,
    active bigint DEFAULT 0 NOT NULL,
    joined bigint DEFAULT 0 NOT NULL
)
WITH (fillfactor='70');
COMMENT ON COLUMN public.board_days.active IS 'users whose value changed on the day';
COMMENT ON COLUMN public.board_days.joined IS 'users of whom it was the first day in the run; those who left since are among them';
CREATE TABLE public.board_entries (
    space_id integer NOT NULL,
    leaderboard integer NOT NULL,
    run text NOT NULL COLLATE pg_catalog."C",
    user_id text NOT NULL COLLATE pg_catalog."C",
    value bigint NOT NULL,
    reached_ms bigint NOT NULL,
    rank integer NOT NULL,
    grp text DEFAULT ''::text NOT NULL COLLATE pg_catalog."C"
)
WITH (fillfactor='70');
COMMENT ON COLUMN public.board_entries.run IS 'YYYYMMDD of the first day, empty for a perpetual run';
COMMENT ON COLUMN public.board_entries.rank IS 'just after the user''s own last change';
COMMENT ON COLUMN public.board_entries.grp IS 'percent-encoded values of the group, joined by &; empty for the board of all';
CREATE TABLE public.board_fills (
    space_id integer NOT NULL,
    leaderboard integer NOT NULL,
    filled_at timestamp with time zone DEFAULT now() NOT NULL
);
CREATE TABLE public.boost_changes (
    space_id integer NOT NULL,
    boost integer NOT NULL,
    finished boolean NOT NULL,
    at_ms bigint NOT NULL
);
COMMENT ON TABLE public.boost_changes IS 'starts and ends of boosts for more than one user: in the first and the last zone';
CREATE TABLE public.catalog_items (
    space_id integer NOT NULL,
    kind text NOT NULL,
    id uuid NOT NULL,
    number integer NOT NULL,
    key text NOT NULL,
    scope text DEFAULT ''::text NOT NULL,
    body jsonb NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    archived_at timestamp with time zone
);
COMMENT ON COLUMN public.catalog_items.scope IS 'within which a key is unique: the type of an attribute, else empty';
CREATE TABLE public.catalog_versions (
    space_id integer NOT NULL,
    version bigint NOT NULL,
    catalog jsonb NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL
);
CREATE TABLE public.console_accounts (
    id uuid NOT NULL,
    space_id integer NOT NULL,
    email text NOT NULL,
    name text NOT NULL,
    role text NOT NULL,
    hash text NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    disabled_at timestamp with time zone,
    CONSTRAINT console_accounts_role_check CHECK ((role = ANY (ARRAY['viewer'::text, 'support'::text, 'admin'::text])))
);
COMMENT ON COLUMN public.console_accounts.hash IS 'argon2id';
CREATE TABLE public.events (
    space_id integer NOT NULL,
    id uuid NOT NULL,
    user_id text NOT NULL COLLATE pg_catalog."C",
    metric integer NOT NULL,
    units bigint NOT NULL,
    at_ms bigint NOT NULL,
    received_at timestamp with time zone NOT NULL,
    idempotency_key text,
    attributes jsonb,
    day date,
    late boolean DEFAULT false NOT NULL,
    corrects uuid
)
PARTITION BY RANGE (received_at);
COMMENT ON COLUMN public.events.day IS 'the user''s local date';
COMMENT ON COLUMN public.events.late IS 'moved perpetual boards only';
COMMENT ON COLUMN public.events.corrects IS 'the event that this one undoes or corrects';
CREATE TABLE public.events_2026_11 (
    space_id integer CONSTRAINT events_space_id_not_null NOT NULL,
    id uuid CONSTRAINT events_id_not_null NOT NULL,
    user_id text CONSTRAINT events_user_id_not_null NOT NULL COLLATE pg_catalog."C",
    metric integer CONSTRAINT events_metric_not_null NOT NULL,
    units bigint CONSTRAINT events_units_not_null NOT NULL,
    at_ms bigint CONSTRAINT events_at_ms_not_null NOT NULL,
    received_at timestamp with time zone CONSTRAINT events_received_at_not_null NOT NULL,
    idempotency_key text,
    attributes jsonb,
    day date,
    late boolean DEFAULT false CONSTRAINT events_late_not_null NOT NULL,
    corrects uuid
);
CREATE TABLE public.events_2026_12 (
    space_id integer CONSTRAINT events_space_id_not_null NOT NULL,
    id uuid CONSTRAINT events_id_not_null NOT NULL,
    user_id text CONSTRAINT events_user_id_not_null NOT NULL COLLATE pg_catalog."C",
    metric integer CONSTRAINT events_metric_not_null NOT NULL,
    units bigint CONSTRAINT events_units_not_null NOT NULL,
    at_ms bigint CONSTRAINT events_at_ms_not_null NOT NULL,
    received_at timestamp with time zone CONSTRAINT events_received_at_not_null NOT NULL,
    idempotency_key text,
    attributes jsonb,
    day date,
    late boolean DEFAULT false CONSTRAINT events_late_not_null NOT NULL,
    corrects uuid
);
CREATE TABLE public.events_2027_01 (
    space_id integer CONSTRAINT events_space_id_not_null NOT NULL,
    id uuid CONSTRAINT events_id_not_null NOT NULL,
    user_id text CONSTRAINT events_user_id_not_null NOT NULL COLLATE pg_catalog."C",
    metric integer CONSTRAINT events_metric_not_null NOT NULL,
    units bigint CONSTRAINT events_units_not_null NOT NULL,
    at_ms bigint CONSTRAINT events_at_ms_not_null NOT NULL,
    received_at timestamp with time zone CONSTRAINT events_received_at_not_null NOT NULL,
    idempotency_key text,
    attributes jsonb,
    day date,
    late boolean DEFAULT false CONSTRAINT events_late_not_null NOT NULL,
    corrects uuid
);
CREATE TABLE public.events_default (
    space_id integer CONSTRAINT events_space_id_not_null NOT NULL,
    id uuid CONSTRAINT events_id_not_null NOT NULL,
    user_id text CONSTRAINT events_user_id_not_null NOT NULL COLLATE pg_catalog."C",
    metric integer CONSTRAINT events_metric_not_null NOT NULL,
    units bigint CONSTRAINT events_units_not_null NOT NULL,
    at_ms bigint CONSTRAINT events_at_ms_not_null NOT NULL,
    received_at timestamp with time zone CONSTRAINT events_received_at_not_null NOT NULL,
    idempotency_key text,
    attributes jsonb,
    day date,
    late boolean DEFAULT false CONSTRAINT events_late_not_null NOT NULL,
    corrects uuid
);
CREATE TABLE public.final_runs (
    space_id integer NOT NULL,
    leaderboard integer NOT NULL,
    run text NOT NULL COLLATE pg_catalog."C",
    start_day date NOT NULL,
    end_day date NOT NULL,
    final_at timestamp with time zone NOT NULL,
    participants integer NOT NULL,
    cleared_at timestamp with time zone,
    rewarded_at timestamp with time zone
);
COMMENT ON COLUMN public.final_runs.cleared_at IS 'when its boards left Redis';
CREATE TABLE public.group_days (
    space_id integer NOT NULL,
    leaderboard integer NOT NULL,
    run text NOT NULL COLLATE pg_catalog."C",
    grp text NOT NULL COLLATE pg_catalog."C",
    day date NOT NULL,
    rank integer NOT NULL,
    score double precision,
    members integer NOT NULL
)
WITH (fillfactor='70');
COMMENT ON COLUMN public.group_days.score IS 'whole units, negated unless less is better, as in Redis; null and rank 0 while the group is not ranked';
CREATE TABLE public.group_standings (
    space_id integer NOT NULL,
    leaderboard integer NOT NULL,
    run text NOT NULL COLLATE pg_catalog."C",
    grp text NOT NULL COLLATE pg_catalog."C",
    place integer NOT NULL,
    rank integer NOT NULL,
    score double precision NOT NULL,
    members integer NOT NULL
);
CREATE TABLE public.idempotency_keys (
    space_id integer NOT NULL,
    user_id text NOT NULL COLLATE pg_catalog."C",
    metric integer NOT NULL,
    key text NOT NULL COLLATE pg_catalog."C",
    event_id uuid NOT NULL,
    received_ms bigint NOT NULL
);
CREATE TABLE public.key_uses (
    key_id uuid NOT NULL,
    used_at timestamp with time zone NOT NULL
);
CREATE TABLE public.log_positions (
    space_id integer NOT NULL,
    epoch text NOT NULL,
    log_id text NOT NULL,
    updated_at timestamp with time zone DEFAULT now() NOT NULL
);
CREATE TABLE public.metric_days (
    space_id integer NOT NULL,
    user_id text NOT NULL COLLATE pg_catalog."C",
    metric integer NOT NULL,
    day date NOT NULL,
    change bigint NOT NULL
)
WITH (fillfactor='70');
CREATE TABLE public.point_awards (
    space_id integer NOT NULL,
    id uuid NOT NULL,
    user_id text NOT NULL COLLATE pg_catalog."C",
    system integer NOT NULL,
    cause integer NOT NULL,
    awarded bigint NOT NULL,
    total bigint NOT NULL,
    at_ms bigint NOT NULL,
    day date NOT NULL,
    boosts integer[] NOT NULL,
    event_id uuid,
    seq bigint NOT NULL
);
COMMENT ON COLUMN public.point_awards.cause IS 'number of a trigger, or of the leaderboard whose reward it is';
COMMENT ON COLUMN public.point_awards.total IS 'of the user, after it';
ALTER TABLE public.point_awards ALTER COLUMN seq ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME public.point_awards_seq_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);
CREATE TABLE public.point_days (
    space_id integer NOT NULL,
    user_id text NOT NULL COLLATE pg_catalog."C",
    system integer NOT NULL,
    day date NOT NULL,
    change bigint NOT NULL
)
WITH (fillfactor='70');
CREATE TABLE public.rank_days (
    space_id integer NOT NULL,
    leaderboard integer NOT NULL,
    run text NOT NULL COLLATE pg_catalog."C",
    user_id text NOT NULL COLLATE pg_catalog."C",
    day date NOT NULL,
    rank integer NOT NULL,
    previous_rank integer,
    value bigint NOT NULL,
    previous_value bigint
)
WITH (fillfactor='70');
CREATE TABLE public.rejected_entries (
    id bigint NOT NULL,
    space_id integer NOT NULL,
    at timestamp with time zone DEFAULT now() NOT NULL,
    log_id text NOT NULL,
    item integer NOT NULL,
    user_id text NOT NULL,
    record text NOT NULL,
    state text NOT NULL,
    error text NOT NULL
);
ALTER TABLE public.rejected_entries ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME public.rejected_entries_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);
CREATE TABLE public.run_standings (
    space_id integer NOT NULL,
    leaderboard integer NOT NULL,
    run text NOT NULL COLLATE pg_catalog."C",
    grp text NOT NULL COLLATE pg_catalog."C",
    place integer NOT NULL,
    rank integer NOT NULL,
    user_id text NOT NULL COLLATE pg_catalog."C",
    value bigint NOT NULL,
    reached_ms bigint NOT NULL,
    name text,
    attributes jsonb DEFAULT '{}'::jsonb NOT NULL
);
COMMENT ON COLUMN public.run_standings.place IS 'from 1, every one different; rank follows the tie rule';
COMMENT ON COLUMN public.run_standings.name IS 'as it was when the run became final, like the attributes';
CREATE TABLE public.space_days (
    space_id integer NOT NULL,
    day date NOT NULL,
    events bigint NOT NULL
)
WITH (fillfactor='70');
CREATE TABLE public.spaces (
    id integer NOT NULL,
    public_id text NOT NULL,
    environment text DEFAULT 'production'::text NOT NULL,
    tenant text DEFAULT 'default'::text NOT NULL,
    home_zone text DEFAULT 'UTC'::text NOT NULL,
    realtime_secret text NOT NULL,
    allowed_origins text[] DEFAULT '{}'::text[] NOT NULL,
    catalog_version bigint DEFAULT 1 NOT NULL,
    next_number integer DEFAULT 1 NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    tenant_id uuid,
    tenant_name text,
    archived boolean DEFAULT false NOT NULL,
    updated_at timestamp with time zone DEFAULT now() NOT NULL
);
COMMENT ON COLUMN public.spaces.tenant IS 'the customer id of the tenant; default is the space without one';
COMMENT ON COLUMN public.spaces.next_number IS 'the next small number of a catalog item; numbers are never reused';
ALTER TABLE public.spaces ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME public.spaces_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);
CREATE TABLE public.streak_pauses (
    space_id integer NOT NULL,
    id uuid NOT NULL,
    user_id text NOT NULL COLLATE pg_catalog."C",
    first_day date NOT NULL,
    last_day date NOT NULL,
    deleted boolean DEFAULT false NOT NULL
);
CREATE TABLE public.streak_periods (
    space_id integer NOT NULL,
    user_id text NOT NULL COLLATE pg_catalog."C",
    track smallint NOT NULL,
    period integer NOT NULL,
    length integer NOT NULL,
    frozen boolean NOT NULL,
    restored boolean DEFAULT false NOT NULL
)
WITH (fillfactor='70');
COMMENT ON COLUMN public.streak_periods.track IS '0 daily, 1 weekly, 2 monthly';
COMMENT ON COLUMN public.streak_periods.period IS 'numbered without gaps: features/streaks/calendar.py';
COMMENT ON COLUMN public.streak_periods.length IS 'at the end of the period';
CREATE TABLE public.sweeps (
    space_id integer NOT NULL,
    signature text NOT NULL,
    swept_at timestamp with time zone DEFAULT now() NOT NULL
);
COMMENT ON TABLE public.sweeps IS 'what of the catalog all users were last brought in line with: writebehind/sweeps.py';
CREATE TABLE public.user_facts (
    space_id integer NOT NULL,
    user_id text NOT NULL COLLATE pg_catalog."C",
    at_ms bigint NOT NULL,
    kind text NOT NULL,
    amount bigint NOT NULL,
    subject bigint NOT NULL
);
COMMENT ON TABLE public.user_facts IS 'engine/records.py: FactRecord';
CREATE TABLE public.user_points (
    space_id integer NOT NULL,
    system integer NOT NULL,
    user_id text NOT NULL COLLATE pg_catalog."C",
    total bigint NOT NULL
)
WITH (fillfactor='70');
CREATE TABLE public.user_streaks (
    space_id integer NOT NULL,
    track smallint NOT NULL,
    user_id text NOT NULL COLLATE pg_catalog."C",
    length integer NOT NULL,
    longest integer NOT NULL
)
WITH (fillfactor='70');
COMMENT ON COLUMN public.user_streaks.length IS 'of the newest event; 0 once time has ended it';
CREATE TABLE public.user_words (
    space_id integer NOT NULL,
    user_id text NOT NULL COLLATE pg_catalog."C",
    word text NOT NULL COLLATE pg_catalog."C"
);
CREATE TABLE public.users (
    space_id integer NOT NULL,
    id text NOT NULL COLLATE pg_catalog."C",
    name text,
    email text,
    tz text,
    attributes jsonb DEFAULT '{}'::jsonb NOT NULL,
    created_ms bigint NOT NULL,
    updated_ms bigint NOT NULL,
    newest_ms bigint NOT NULL,
    token text NOT NULL,
    state text NOT NULL
)
WITH (fillfactor='70');
ALTER TABLE ONLY public.events ATTACH PARTITION public.events_2026_11 FOR VALUES FROM ('2026-11-01 00:00:00+00') TO ('2026-12-01 00:00:00+00');
ALTER TABLE ONLY public.events ATTACH PARTITION public.events_2026_12 FOR VALUES FROM ('2026-12-01 00:00:00+00') TO ('2027-01-01 00:00:00+00');
ALTER TABLE ONLY public.events ATTACH PARTITION public.events_2027_01 FOR VALUES FROM ('2027-01-01 00:00:00+00') TO ('2027-02-01 00:00:00+00');
ALTER TABLE ONLY public.events ATTACH PARTITION public.events_default DEFAULT;
INSERT INTO public.achievement_completions VALUES
	(1, 6, 'chiyo', 1795641566767, false),
	(1, 6, 'ann', 1795727846617, false),
	(1, 6, 'ben', 1795727906696, false),
	(1, 6, 'dima', 1795728026942, false),
	(1, 6, '數', 1795728086822, false),
	(1, 5, '數', 1795728086822, false),
	(1, 5, 'chiyo', 1795814366767, false);
INSERT INTO public.achievement_counts VALUES
	(1, 6, 5),
	(1, 5, 2);
INSERT INTO public.alembic_version VALUES
	('0012');
INSERT INTO public.api_keys VALUES
	('5c058462-5411-4645-9674-1d95f0152483', 1, 'podium dev', '657af0a6', '\x8fe8b4bdc60b9b5ffbf9d0f0350c0ac982471ad5b14186560a55ad38f80fd10a', '{admin}', '2026-11-27 21:47:13.038601+00', NULL, NULL);
INSERT INTO public.audit_log OVERRIDING SYSTEM VALUE VALUES
	(1, 1, '2026-11-27 21:47:28.294799+00', 'podium dev (5c058462-5411-4645-9674-1d95f0152483)', 'create', 'metric', '01a21efa-46b9-77f3-8dee-af3f77b83571', NULL, '{"id": "01a21efa-46b9-77f3-8dee-af3f77b83571", "key": "words", "name": "Words", "units": "", "number": 1, "decimals": 3, "maxValue": null, "minValue": null, "unitType": "number", "maxPerDay": null}'),
	(2, 1, '2026-11-27 21:47:28.294799+00', 'podium dev (5c058462-5411-4645-9674-1d95f0152483)', 'create', 'metric', '01a21efa-46b9-7ede-b0f3-8656726b307e', NULL, '{"id": "01a21efa-46b9-7ede-b0f3-8656726b307e", "key": "laps", "name": "Laps", "units": "", "number": 2, "decimals": 3, "maxValue": null, "minValue": null, "unitType": "number", "maxPerDay": null}'),
	(3, 1, '2026-11-27 21:47:28.36403+00', 'podium dev (5c058462-5411-4645-9674-1d95f0152483)', 'create', 'attribute', '01a21efa-46fa-7197-a261-2e35da76d594', NULL, '{"id": "01a21efa-46fa-7197-a261-2e35da76d594", "key": "city", "name": "City", "type": "user", "number": 3}'),
	(4, 1, '2026-11-27 21:47:28.424837+00', 'podium dev (5c058462-5411-4645-9674-1d95f0152483)', 'create', 'streak settings', '01a21efa-472d-7e1f-80bf-034dc16a19e8', NULL, '{"id": "01a21efa-472d-7e1f-80bf-034dc16a19e8", "key": "streaks", "mode": "OR", "number": 4, "daysOff": [], "freezes": {"maxCount": 3, "startCount": 1, "autoEarnAmount": null, "autoEarnInterval": null}, "metrics": [{"metricId": "01a21efa-46b9-77f3-8dee-af3f77b83571", "threshold": 10}], "frequency": "daily", "customizable": false}'),
	(5, 1, '2026-11-27 21:47:28.44824+00', 'podium dev (5c058462-5411-4645-9674-1d95f0152483)', 'create', 'achievement', '01a21efa-474d-72a6-b240-6550ba3edf5b', NULL, '{"id": "01a21efa-474d-72a6-b240-6550ba3edf5b", "key": "01a21efa-474d-72a6-b240-6550ba3edf5b", "name": "Page", "number": 5, "status": "active", "trigger": "metric", "badgeUrl": null, "metricId": "01a21efa-46b9-77f3-8dee-af3f77b83571", "description": null, "metricValue": 250.0, "streakLength": null, "achievementIds": [], "userAttributes": [], "eventAttributes": [], "anniversaryYears": null}'),
	(6, 1, '2026-11-27 21:47:28.44824+00', 'podium dev (5c058462-5411-4645-9674-1d95f0152483)', 'create', 'achievement', '01a21efa-474d-7d9f-9ad2-1e85147db1f7', NULL, '{"id": "01a21efa-474d-7d9f-9ad2-1e85147db1f7", "key": "01a21efa-474d-7d9f-9ad2-1e85147db1f7", "name": "Three days", "number": 6, "status": "active", "trigger": "streak", "badgeUrl": null, "metricId": null, "description": null, "metricValue": null, "streakLength": 3, "achievementIds": [], "userAttributes": [], "eventAttributes": [], "anniversaryYears": null}'),
	(7, 1, '2026-11-27 21:47:28.511217+00', 'podium dev (5c058462-5411-4645-9674-1d95f0152483)', 'create', 'points level', '01a21efa-4780-777c-b2f9-818408a73fac', NULL, '{"id": "01a21efa-4780-777c-b2f9-818408a73fac", "key": "bronze", "name": "Bronze", "number": 8, "points": 60, "badgeUrl": null, "systemId": "01a21efa-4780-7c0b-b87f-b08688ab1bd5", "description": ""}'),
	(8, 1, '2026-11-27 21:47:28.511217+00', 'podium dev (5c058462-5411-4645-9674-1d95f0152483)', 'create', 'points trigger', '01a21efa-4780-7951-bdf4-063c35852ea5', NULL, '{"id": "01a21efa-4780-7951-bdf4-063c35852ea5", "key": "01a21efa-4780-7951-bdf4-063c35852ea5", "type": "metric", "number": 9, "points": 3, "status": "active", "activeMs": 1795816048512, "metricId": "01a21efa-46b9-77f3-8dee-af3f77b83571", "systemId": "01a21efa-4780-7c0b-b87f-b08688ab1bd5", "timeUnit": null, "createdMs": 1795816048512, "updatedMs": 1795816048512, "streakLength": null, "timeInterval": null, "achievementId": null, "userAttributes": [], "eventAttributes": [], "metricThreshold": 10, "blockIfOutOfPoints": false}'),
	(9, 1, '2026-11-27 21:47:28.511217+00', 'podium dev (5c058462-5411-4645-9674-1d95f0152483)', 'create', 'points system', '01a21efa-4780-7c0b-b87f-b08688ab1bd5', NULL, '{"id": "01a21efa-4780-7c0b-b87f-b08688ab1bd5", "key": "xp", "name": "Experience", "number": 7, "badgeUrl": null, "maxPoints": null, "description": ""}'),
	(10, 1, '2026-11-27 21:47:28.559198+00', 'podium dev (5c058462-5411-4645-9674-1d95f0152483)', 'create', 'leaderboard', '01a21efa-47b5-721c-a0be-89eccf58b899', NULL, '{"id": "01a21efa-47b5-721c-a0be-89eccf58b899", "end": null, "key": "all-time", "name": "All time", "order": "desc", "start": "2026-11-17", "number": 10, "public": true, "rankBy": "metric", "status": "active", "endTime": null, "endedMs": {}, "groupBy": null, "rewards": [], "runUnit": null, "tieRule": "ordinal", "metricId": "01a21efa-46b9-77f3-8dee-af3f77b83571", "operator": "sum", "aggregate": "sum", "createdMs": 1795816048565, "startTime": null, "finalUntil": null, "minMembers": 1, "description": null, "keepOnLeave": false, "runInterval": null, "aggregateTop": 10, "pointsSystemId": null, "userAttributes": [], "maxParticipants": null, "displayAttributes": [], "breakdownAttributes": []}'),
	(11, 1, '2026-11-27 21:47:28.559198+00', 'podium dev (5c058462-5411-4645-9674-1d95f0152483)', 'create', 'leaderboard', '01a21efa-47b5-782e-b862-e41797d0f796', NULL, '{"id": "01a21efa-47b5-782e-b862-e41797d0f796", "end": null, "key": "daily", "name": "Daily", "order": "desc", "start": "2026-11-17", "number": 11, "public": false, "rankBy": "metric", "status": "active", "endTime": null, "endedMs": {}, "groupBy": null, "rewards": [], "runUnit": "day", "tieRule": "ordinal", "metricId": "01a21efa-46b9-77f3-8dee-af3f77b83571", "operator": "sum", "aggregate": "sum", "createdMs": 1795816048565, "startTime": null, "finalUntil": null, "minMembers": 1, "description": null, "keepOnLeave": false, "runInterval": 1, "aggregateTop": 10, "pointsSystemId": null, "userAttributes": [], "maxParticipants": null, "displayAttributes": [], "breakdownAttributes": []}'),
	(12, 1, '2026-11-27 21:47:28.559198+00', 'podium dev (5c058462-5411-4645-9674-1d95f0152483)', 'create', 'leaderboard', '01a21efa-47b5-7df0-ac78-d518efe534bc', NULL, '{"id": "01a21efa-47b5-7df0-ac78-d518efe534bc", "end": null, "key": "fastest", "name": "Fastest", "order": "asc", "start": "2026-11-17", "number": 12, "public": false, "rankBy": "metric", "status": "active", "endTime": null, "endedMs": {}, "groupBy": null, "rewards": [], "runUnit": null, "tieRule": "dense", "metricId": "01a21efa-46b9-7ede-b0f3-8656726b307e", "operator": "best", "aggregate": "sum", "createdMs": 1795816048565, "startTime": null, "finalUntil": null, "minMembers": 1, "description": null, "keepOnLeave": false, "runInterval": null, "aggregateTop": 10, "pointsSystemId": null, "userAttributes": [], "maxParticipants": null, "displayAttributes": [], "breakdownAttributes": []}'),
	(13, 1, '2026-11-27 21:47:28.559198+00', 'podium dev (5c058462-5411-4645-9674-1d95f0152483)', 'create', 'leaderboard', '01a21efa-47b5-7b7e-a6ac-b6bf52b3bc20', NULL, '{"id": "01a21efa-47b5-7b7e-a6ac-b6bf52b3bc20", "end": null, "key": "cities", "name": "Cities", "order": "desc", "start": "2026-11-17", "number": 13, "public": false, "rankBy": "metric", "status": "active", "endTime": null, "endedMs": {}, "groupBy": "city", "rewards": [], "runUnit": null, "tieRule": "ordinal", "metricId": "01a21efa-46b9-77f3-8dee-af3f77b83571", "operator": "sum", "aggregate": "average", "createdMs": 1795816048565, "startTime": null, "finalUntil": null, "minMembers": 1, "description": null, "keepOnLeave": false, "runInterval": null, "aggregateTop": 10, "pointsSystemId": null, "userAttributes": [], "maxParticipants": null, "displayAttributes": [], "breakdownAttributes": []}'),
	(14, 1, '2026-11-27 21:47:28.559198+00', 'podium dev (5c058462-5411-4645-9674-1d95f0152483)', 'create', 'leaderboard', '01a21efa-47b5-7b33-8545-1ec629ecec5e', NULL, '{"id": "01a21efa-47b5-7b33-8545-1ec629ecec5e", "end": null, "key": "weekly-xp", "name": "Weekly", "order": "desc", "start": "2026-11-17", "number": 14, "public": false, "rankBy": "points", "status": "active", "endTime": null, "endedMs": {}, "groupBy": null, "rewards": [], "runUnit": "day", "tieRule": "ordinal", "metricId": null, "operator": "sum", "aggregate": "sum", "createdMs": 1795816048565, "startTime": null, "finalUntil": null, "minMembers": 1, "description": null, "keepOnLeave": false, "runInterval": 7, "aggregateTop": 10, "pointsSystemId": "01a21efa-4780-7c0b-b87f-b08688ab1bd5", "userAttributes": [], "maxParticipants": null, "displayAttributes": [], "breakdownAttributes": []}'),
	(15, 1, '2026-11-27 21:47:28.559198+00', 'podium dev (5c058462-5411-4645-9674-1d95f0152483)', 'create', 'leaderboard', '01a21efa-47b5-7e0b-8ba0-35aea7ea7297', NULL, '{"id": "01a21efa-47b5-7e0b-8ba0-35aea7ea7297", "end": null, "key": "streaks", "name": "Streaks", "order": "desc", "start": "2026-11-17", "number": 15, "public": false, "rankBy": "streak", "status": "active", "endTime": null, "endedMs": {}, "groupBy": null, "rewards": [], "runUnit": null, "tieRule": "ordinal", "metricId": null, "operator": "sum", "aggregate": "sum", "createdMs": 1795816048565, "startTime": null, "finalUntil": null, "minMembers": 1, "description": null, "keepOnLeave": false, "runInterval": null, "aggregateTop": 10, "pointsSystemId": null, "userAttributes": [], "maxParticipants": null, "displayAttributes": [], "breakdownAttributes": []}'),
	(16, 1, '2026-11-27 21:47:35.011988+00', 'podium, at the command line', 'create', 'console account', 'support@example.com', NULL, '{"name": "Sue", "role": "support"}');
INSERT INTO public.board_days VALUES
	(1, 10, '', '2026-11-23', 3, 3, 3),
	(1, 10, '', '2026-11-24', 3, 3, 2),
	(1, 11, '20261123', '2026-11-23', 3, 3, 3),
	(1, 11, '20261124', '2026-11-24', 3, 3, 3),
	(1, 12, '', '2026-11-23', 3, 3, 3),
	(1, 12, '', '2026-11-24', 2, 2, 2),
	(1, 13, '', '2026-11-23', 3, 3, 3),
	(1, 13, '', '2026-11-24', 3, 3, 2),
	(1, 14, '20261117', '2026-11-23', 3, 3, 3),
	(1, 14, '20261124', '2026-11-24', 3, 3, 3),
	(1, 15, '', '2026-11-23', 3, 3, 3),
	(1, 15, '', '2026-11-24', 3, 3, 2),
	(1, 10, '', '2026-11-25', 3, 4, 0),
	(1, 10, '', '2026-11-26', 2, 5, 0),
	(1, 11, '20261125', '2026-11-25', 4, 4, 4),
	(1, 11, '20261126', '2026-11-26', 5, 5, 5),
	(1, 13, '', '2026-11-25', 3, 4, 0),
	(1, 13, '', '2026-11-26', 2, 5, 0),
	(1, 14, '20261124', '2026-11-25', 2, 4, 2),
	(1, 14, '20261124', '2026-11-26', 3, 5, 0),
	(1, 15, '', '2026-11-25', 2, 4, 0),
	(1, 15, '', '2026-11-26', 2, 5, 0),
	(1, 10, '', '2026-11-27', 0, 3, 0),
	(1, 10, '', '2026-11-28', 1, 1, 0),
	(1, 11, '20261127', '2026-11-27', 3, 3, 3),
	(1, 11, '20261128', '2026-11-28', 1, 1, 1),
	(1, 13, '', '2026-11-27', 0, 3, 0),
	(1, 13, '', '2026-11-28', 1, 1, 0),
	(1, 14, '20261124', '2026-11-27', 1, 3, 0),
	(1, 14, '20261124', '2026-11-28', 1, 1, 0),
	(1, 15, '', '2026-11-27', 3, 3, 0),
	(1, 15, '', '2026-11-28', 0, 1, 0);
INSERT INTO public.board_entries VALUES
	(1, 11, '20261123', 'ann', 48000, 1795468647000, 1, ''),
	(1, 14, '20261117', 'ann', 12, 1795468647000, 1, ''),
	(1, 12, '', 'ann', 56500, 1795468647000, 1, ''),
	(1, 11, '20261123', 'ben', 63000, 1795468707000, 1, ''),
	(1, 14, '20261117', 'ben', 18, 1795468707000, 1, ''),
	(1, 12, '', 'ben', 55500, 1795468707000, 1, ''),
	(1, 11, '20261124', 'chiyo', 78000, 1795468767000, 1, ''),
	(1, 12, '', 'chiyo', 56500, 1795468767000, 2, ''),
	(1, 11, '20261123', '數', 108000, 1795468887000, 1, ''),
	(1, 14, '20261117', '數', 30, 1795468887000, 1, ''),
	(1, 12, '', '數', 56500, 1795468887000, 2, ''),
	(1, 11, '20261124', 'ben', 56000, 1795555107000, 2, ''),
	(1, 11, '20261125', 'chiyo', 71000, 1795555167000, 1, ''),
	(1, 11, '20261124', 'dima', 86000, 1795555227000, 1, ''),
	(1, 12, '', 'dima', 56500, 1795555227000, 2, ''),
	(1, 11, '20261125', 'ann', 34000, 1795641447000, 2, ''),
	(1, 11, '20261126', 'chiyo', 64000, 1795641567000, 1, ''),
	(1, 10, '', 'dima', 237000, 1795728027000, 1, ''),
	(1, 11, '20261125', 'dima', 79000, 1795641627000, 1, ''),
	(1, 13, '', 'dima', 237000, 1795728027000, 1, ''),
	(1, 13, '', 'dima', 237000, 1795728027000, 1, 'New%20York'),
	(1, 15, '', 'dima', 3, 1795728027000, 4, ''),
	(1, 14, '20261124', 'dima', 69, 1795728027000, 1, ''),
	(1, 11, '20261125', '數', 94000, 1795641687000, 1, ''),
	(1, 11, '20261126', 'ann', 27000, 1795727847000, 2, ''),
	(1, 11, '20261126', 'ben', 42000, 1795727907000, 2, ''),
	(1, 11, '20261126', 'dima', 72000, 1795728027000, 1, ''),
	(1, 11, '20261126', '數', 87000, 1795728087000, 1, ''),
	(1, 10, '', 'ann', 129000, 1795814247000, 5, ''),
	(1, 11, '20261127', 'ann', 20000, 1795814247000, 1, ''),
	(1, 13, '', 'ann', 129000, 1795814247000, 5, ''),
	(1, 13, '', 'ann', 129000, 1795814247000, 3, 'London'),
	(1, 15, '', 'ann', 4, 1795814247000, 1, ''),
	(1, 14, '20261124', 'ann', 24, 1795814247000, 5, ''),
	(1, 10, '', 'ben', 196000, 1795814307000, 4, ''),
	(1, 11, '20261127', 'ben', 35000, 1795814307000, 1, ''),
	(1, 13, '', 'ben', 196000, 1795814307000, 4, ''),
	(1, 13, '', 'ben', 196000, 1795814307000, 2, 'New%20York'),
	(1, 15, '', 'ben', 4, 1795814307000, 2, ''),
	(1, 14, '20261124', 'ben', 39, 1795814307000, 4, ''),
	(1, 10, '', 'chiyo', 263000, 1795814367000, 2, ''),
	(1, 11, '20261128', 'chiyo', 50000, 1795814367000, 1, ''),
	(1, 13, '', 'chiyo', 263000, 1795814367000, 2, ''),
	(1, 13, '', 'chiyo', 263000, 1795814367000, 2, 'London'),
	(1, 15, '', 'chiyo', 4, 1795814367000, 3, ''),
	(1, 14, '20261124', 'chiyo', 78, 1795814367000, 1, ''),
	(1, 10, '', '數', 369000, 1795814487000, 1, ''),
	(1, 11, '20261127', '數', 80000, 1795814487000, 1, ''),
	(1, 13, '', '數', 369000, 1795814487000, 1, ''),
	(1, 13, '', '數', 369000, 1795814487000, 1, 'London'),
	(1, 15, '', '數', 4, 1795814487000, 4, ''),
	(1, 14, '20261124', '數', 78, 1795814487000, 2, '');
INSERT INTO public.board_fills VALUES
	(1, 10, '2026-11-27 21:47:29.877938+00'),
	(1, 11, '2026-11-27 21:47:29.877938+00'),
	(1, 12, '2026-11-27 21:47:29.877938+00'),
	(1, 13, '2026-11-27 21:47:29.877938+00'),
	(1, 14, '2026-11-27 21:47:29.877938+00'),
	(1, 15, '2026-11-27 21:47:29.877938+00');
INSERT INTO public.catalog_items VALUES
	(1, 'metric', '01a21efa-46b9-77f3-8dee-af3f77b83571', 1, 'words', '', '{"id": "01a21efa-46b9-77f3-8dee-af3f77b83571", "key": "words", "name": "Words", "units": "", "number": 1, "decimals": 3, "maxValue": null, "minValue": null, "unitType": "number", "maxPerDay": null}', '2026-11-27 21:47:28.294799+00', NULL),
	(1, 'metric', '01a21efa-46b9-7ede-b0f3-8656726b307e', 2, 'laps', '', '{"id": "01a21efa-46b9-7ede-b0f3-8656726b307e", "key": "laps", "name": "Laps", "units": "", "number": 2, "decimals": 3, "maxValue": null, "minValue": null, "unitType": "number", "maxPerDay": null}', '2026-11-27 21:47:28.294799+00', NULL),
	(1, 'attribute', '01a21efa-46fa-7197-a261-2e35da76d594', 3, 'city', 'user', '{"id": "01a21efa-46fa-7197-a261-2e35da76d594", "key": "city", "name": "City", "type": "user", "number": 3}', '2026-11-27 21:47:28.36403+00', NULL),
	(1, 'streak settings', '01a21efa-472d-7e1f-80bf-034dc16a19e8', 4, 'streaks', '', '{"id": "01a21efa-472d-7e1f-80bf-034dc16a19e8", "key": "streaks", "mode": "OR", "number": 4, "daysOff": [], "freezes": {"maxCount": 3, "startCount": 1, "autoEarnAmount": null, "autoEarnInterval": null}, "metrics": [{"metricId": "01a21efa-46b9-77f3-8dee-af3f77b83571", "threshold": 10}], "frequency": "daily", "customizable": false}', '2026-11-27 21:47:28.424837+00', NULL),
	(1, 'achievement', '01a21efa-474d-72a6-b240-6550ba3edf5b', 5, '01a21efa-474d-72a6-b240-6550ba3edf5b', '', '{"id": "01a21efa-474d-72a6-b240-6550ba3edf5b", "key": "01a21efa-474d-72a6-b240-6550ba3edf5b", "name": "Page", "number": 5, "status": "active", "trigger": "metric", "badgeUrl": null, "metricId": "01a21efa-46b9-77f3-8dee-af3f77b83571", "description": null, "metricValue": 250.0, "streakLength": null, "achievementIds": [], "userAttributes": [], "eventAttributes": [], "anniversaryYears": null}', '2026-11-27 21:47:28.44824+00', NULL),
	(1, 'achievement', '01a21efa-474d-7d9f-9ad2-1e85147db1f7', 6, '01a21efa-474d-7d9f-9ad2-1e85147db1f7', '', '{"id": "01a21efa-474d-7d9f-9ad2-1e85147db1f7", "key": "01a21efa-474d-7d9f-9ad2-1e85147db1f7", "name": "Three days", "number": 6, "status": "active", "trigger": "streak", "badgeUrl": null, "metricId": null, "description": null, "metricValue": null, "streakLength": 3, "achievementIds": [], "userAttributes": [], "eventAttributes": [], "anniversaryYears": null}', '2026-11-27 21:47:28.44824+00', NULL),
	(1, 'points level', '01a21efa-4780-777c-b2f9-818408a73fac', 8, 'bronze', '01a21efa-4780-7c0b-b87f-b08688ab1bd5', '{"id": "01a21efa-4780-777c-b2f9-818408a73fac", "key": "bronze", "name": "Bronze", "number": 8, "points": 60, "badgeUrl": null, "systemId": "01a21efa-4780-7c0b-b87f-b08688ab1bd5", "description": ""}', '2026-11-27 21:47:28.511217+00', NULL),
	(1, 'points trigger', '01a21efa-4780-7951-bdf4-063c35852ea5', 9, '01a21efa-4780-7951-bdf4-063c35852ea5', '', '{"id": "01a21efa-4780-7951-bdf4-063c35852ea5", "key": "01a21efa-4780-7951-bdf4-063c35852ea5", "type": "metric", "number": 9, "points": 3, "status": "active", "activeMs": 1795816048512, "metricId": "01a21efa-46b9-77f3-8dee-af3f77b83571", "systemId": "01a21efa-4780-7c0b-b87f-b08688ab1bd5", "timeUnit": null, "createdMs": 1795816048512, "updatedMs": 1795816048512, "streakLength": null, "timeInterval": null, "achievementId": null, "userAttributes": [], "eventAttributes": [], "metricThreshold": 10, "blockIfOutOfPoints": false}', '2026-11-27 21:47:28.511217+00', NULL),
	(1, 'points system', '01a21efa-4780-7c0b-b87f-b08688ab1bd5', 7, 'xp', '', '{"id": "01a21efa-4780-7c0b-b87f-b08688ab1bd5", "key": "xp", "name": "Experience", "number": 7, "badgeUrl": null, "maxPoints": null, "description": ""}', '2026-11-27 21:47:28.511217+00', NULL),
	(1, 'leaderboard', '01a21efa-47b5-721c-a0be-89eccf58b899', 10, 'all-time', '', '{"id": "01a21efa-47b5-721c-a0be-89eccf58b899", "end": null, "key": "all-time", "name": "All time", "order": "desc", "start": "2026-11-17", "number": 10, "public": true, "rankBy": "metric", "status": "active", "endTime": null, "endedMs": {}, "groupBy": null, "rewards": [], "runUnit": null, "tieRule": "ordinal", "metricId": "01a21efa-46b9-77f3-8dee-af3f77b83571", "operator": "sum", "aggregate": "sum", "createdMs": 1795816048565, "startTime": null, "finalUntil": null, "minMembers": 1, "description": null, "keepOnLeave": false, "runInterval": null, "aggregateTop": 10, "pointsSystemId": null, "userAttributes": [], "maxParticipants": null, "displayAttributes": [], "breakdownAttributes": []}', '2026-11-27 21:47:28.559198+00', NULL),
	(1, 'leaderboard', '01a21efa-47b5-782e-b862-e41797d0f796', 11, 'daily', '', '{"id": "01a21efa-47b5-782e-b862-e41797d0f796", "end": null, "key": "daily", "name": "Daily", "order": "desc", "start": "2026-11-17", "number": 11, "public": false, "rankBy": "metric", "status": "active", "endTime": null, "endedMs": {}, "groupBy": null, "rewards": [], "runUnit": "day", "tieRule": "ordinal", "metricId": "01a21efa-46b9-77f3-8dee-af3f77b83571", "operator": "sum", "aggregate": "sum", "createdMs": 1795816048565, "startTime": null, "finalUntil": null, "minMembers": 1, "description": null, "keepOnLeave": false, "runInterval": 1, "aggregateTop": 10, "pointsSystemId": null, "userAttributes": [], "maxParticipants": null, "displayAttributes": [], "breakdownAttributes": []}', '2026-11-27 21:47:28.559198+00', NULL),
	(1, 'leaderboard', '01a21efa-47b5-7df0-ac78-d518efe534bc', 12, 'fastest', '', '{"id": "01a21efa-47b5-7df0-ac78-d518efe534bc", "end": null, "key": "fastest", "name": "Fastest", "order": "asc", "start": "2026-11-17", "number": 12, "public": false, "rankBy": "metric", "status": "active", "endTime": null, "endedMs": {}, "groupBy": null, "rewards": [], "runUnit": null, "tieRule": "dense", "metricId": "01a21efa-46b9-7ede-b0f3-8656726b307e", "operator": "best", "aggregate": "sum", "createdMs": 1795816048565, "startTime": null, "finalUntil": null, "minMembers": 1, "description": null, "keepOnLeave": false, "runInterval": null, "aggregateTop": 10, "pointsSystemId": null, "userAttributes": [], "maxParticipants": null, "displayAttributes": [], "breakdownAttributes": []}', '2026-11-27 21:47:28.559198+00', NULL),
	(1, 'leaderboard', '01a21efa-47b5-7b7e-a6ac-b6bf52b3bc20', 13, 'cities', '', '{"id": "01a21efa-47b5-7b7e-a6ac-b6bf52b3bc20", "end": null, "key": "cities", "name": "Cities", "order": "desc", "start": "2026-11-17", "number": 13, "public": false, "rankBy": "metric", "status": "active", "endTime": null, "endedMs": {}, "groupBy": "city", "rewards": [], "runUnit": null, "tieRule": "ordinal", "metricId": "01a21efa-46b9-77f3-8dee-af3f77b83571", "operator": "sum", "aggregate": "average", "createdMs": 1795816048565, "startTime": null, "finalUntil": null, "minMembers": 1, "description": null, "keepOnLeave": false, "runInterval": null, "aggregateTop": 10, "pointsSystemId": null, "userAttributes": [], "maxParticipants": null, "displayAttributes": [], "breakdownAttributes": []}', '2026-11-27 21:47:28.559198+00', NULL),
	(1, 'leaderboard', '01a21efa-47b5-7b33-8545-1ec629ecec5e', 14, 'weekly-xp', '', '{"id": "01a21efa-47b5-7b33-8545-1ec629ecec5e", "end": null, "key": "weekly-xp", "name": "Weekly", "order": "desc", "start": "2026-11-17", "number": 14, "public": false, "rankBy": "points", "status": "active", "endTime": null, "endedMs": {}, "groupBy": null, "rewards": [], "runUnit": "day", "tieRule": "ordinal", "metricId": null, "operator": "sum", "aggregate": "sum", "createdMs": 1795816048565, "startTime": null, "finalUntil": null, "minMembers": 1, "description": null, "keepOnLeave": false, "runInterval": 7, "aggregateTop": 10, "pointsSystemId": "01a21efa-4780-7c0b-b87f-b08688ab1bd5", "userAttributes": [], "maxParticipants": null, "displayAttributes": [], "breakdownAttributes": []}', '2026-11-27 21:47:28.559198+00', NULL),
	(1, 'leaderboard', '01a21efa-47b5-7e0b-8ba0-35aea7ea7297', 15, 'streaks', '', '{"id": "01a21efa-47b5-7e0b-8ba0-35aea7ea7297", "end": null, "key": "streaks", "name": "Streaks", "order": "desc", "start": "2026-11-17", "number": 15, "public": false, "rankBy": "streak", "status": "active", "endTime": null, "endedMs": {}, "groupBy": null, "rewards": [], "runUnit": null, "tieRule": "ordinal", "metricId": null, "operator": "sum", "aggregate": "sum", "createdMs": 1795816048565, "startTime": null, "finalUntil": null, "minMembers": 1, "description": null, "keepOnLeave": false, "runInterval": null, "aggregateTop": 10, "pointsSystemId": null, "userAttributes": [], "maxParticipants": null, "displayAttributes": [], "breakdownAttributes": []}', '2026-11-27 21:47:28.559198+00', NULL);
INSERT INTO public.catalog_versions VALUES
	(1, 1, '{"boosts": [], "levels": [], "points": [], "metrics": [], "streaks": [], "version": 1, "homeZone": "UTC", "settings": [], "triggers": [], "attributes": [], "achievements": [], "leaderboards": []}', '2026-11-27 21:47:12.933776+00'),
	(1, 2, '{"boosts": [], "levels": [], "points": [], "metrics": [{"id": "01a21efa-46b9-77f3-8dee-af3f77b83571", "key": "words", "name": "Words", "units": "", "number": 1, "decimals": 3, "maxValue": null, "minValue": null, "unitType": "number", "maxPerDay": null}, {"id": "01a21efa-46b9-7ede-b0f3-8656726b307e", "key": "laps", "name": "Laps", "units": "", "number": 2, "decimals": 3, "maxValue": null, "minValue": null, "unitType": "number", "maxPerDay": null}], "streaks": [], "version": 2, "homeZone": "UTC", "settings": [], "triggers": [], "attributes": [], "achievements": [], "leaderboards": []}', '2026-11-27 21:47:28.294799+00'),
	(1, 3, '{"boosts": [], "levels": [], "points": [], "metrics": [{"id": "01a21efa-46b9-77f3-8dee-af3f77b83571", "key": "words", "name": "Words", "units": "", "number": 1, "decimals": 3, "maxValue": null, "minValue": null, "unitType": "number", "maxPerDay": null}, {"id": "01a21efa-46b9-7ede-b0f3-8656726b307e", "key": "laps", "name": "Laps", "units": "", "number": 2, "decimals": 3, "maxValue": null, "minValue": null, "unitType": "number", "maxPerDay": null}], "streaks": [], "version": 3, "homeZone": "UTC", "settings": [], "triggers": [], "attributes": [{"id": "01a21efa-46fa-7197-a261-2e35da76d594", "key": "city", "name": "City", "type": "user", "number": 3}], "achievements": [], "leaderboards": []}', '2026-11-27 21:47:28.36403+00'),
	(1, 4, '{"boosts": [], "levels": [], "points": [], "metrics": [{"id": "01a21efa-46b9-77f3-8dee-af3f77b83571", "key": "words", "name": "Words", "units": "", "number": 1, "decimals": 3, "maxValue": null, "minValue": null, "unitType": "number", "maxPerDay": null}, {"id": "01a21efa-46b9-7ede-b0f3-8656726b307e", "key": "laps", "name": "Laps", "units": "", "number": 2, "decimals": 3, "maxValue": null, "minValue": null, "unitType": "number", "maxPerDay": null}], "streaks": [{"id": "01a21efa-472d-7e1f-80bf-034dc16a19e8", "key": "streaks", "mode": "OR", "number": 4, "daysOff": [], "freezes": {"maxCount": 3, "startCount": 1, "autoEarnAmount": null, "autoEarnInterval": null}, "metrics": [{"metricId": "01a21efa-46b9-77f3-8dee-af3f77b83571", "threshold": 10}], "frequency": "daily", "customizable": false}], "version": 4, "homeZone": "UTC", "settings": [], "triggers": [], "attributes": [{"id": "01a21efa-46fa-7197-a261-2e35da76d594", "key": "city", "name": "City", "type": "user", "number": 3}], "achievements": [], "leaderboards": []}', '2026-11-27 21:47:28.424837+00'),
	(1, 5, '{"boosts": [], "levels": [], "points": [], "metrics": [{"id": "01a21efa-46b9-77f3-8dee-af3f77b83571", "key": "words", "name": "Words", "units": "", "number": 1, "decimals": 3, "maxValue": null, "minValue": null, "unitType": "number", "maxPerDay": null}, {"id": "01a21efa-46b9-7ede-b0f3-8656726b307e", "key": "laps", "name": "Laps", "units": "", "number": 2, "decimals": 3, "maxValue": null, "minValue": null, "unitType": "number", "maxPerDay": null}], "streaks": [{"id": "01a21efa-472d-7e1f-80bf-034dc16a19e8", "key": "streaks", "mode": "OR", "number": 4, "daysOff": [], "freezes": {"maxCount": 3, "startCount": 1, "autoEarnAmount": null, "autoEarnInterval": null}, "metrics": [{"metricId": "01a21efa-46b9-77f3-8dee-af3f77b83571", "threshold": 10}], "frequency": "daily", "customizable": false}], "version": 5, "homeZone": "UTC", "settings": [], "triggers": [], "attributes": [{"id": "01a21efa-46fa-7197-a261-2e35da76d594", "key": "city", "name": "City", "type": "user", "number": 3}], "achievements": [{"id": "01a21efa-474d-72a6-b240-6550ba3edf5b", "key": "01a21efa-474d-72a6-b240-6550ba3edf5b", "name": "Page", "number": 5, "status": "active", "trigger": "metric", "badgeUrl": null, "metricId": "01a21efa-46b9-77f3-8dee-af3f77b83571", "description": null, "metricValue": 250.0, "streakLength": null, "achievementIds": [], "userAttributes": [], "eventAttributes": [], "anniversaryYears": null}, {"id": "01a21efa-474d-7d9f-9ad2-1e85147db1f7", "key": "01a21efa-474d-7d9f-9ad2-1e85147db1f7", "name": "Three days", "number": 6, "status": "active", "trigger": "streak", "badgeUrl": null, "metricId": null, "description": null, "metricValue": null, "streakLength": 3, "achievementIds": [], "userAttributes": [], "eventAttributes": [], "anniversaryYears": null}], "leaderboards": []}', '2026-11-27 21:47:28.44824+00'),
	(1, 6, '{"boosts": [], "levels": [{"id": "01a21efa-4780-777c-b2f9-818408a73fac", "key": "bronze", "name": "Bronze", "number": 8, "points": 60, "badgeUrl": null, "systemId": "01a21efa-4780-7c0b-b87f-b08688ab1bd5", "description": ""}], "points": [{"id": "01a21efa-4780-7c0b-b87f-b08688ab1bd5", "key": "xp", "name": "Experience", "number": 7, "badgeUrl": null, "maxPoints": null, "description": ""}], "metrics": [{"id": "01a21efa-46b9-77f3-8dee-af3f77b83571", "key": "words", "name": "Words", "units": "", "number": 1, "decimals": 3, "maxValue": null, "minValue": null, "unitType": "number", "maxPerDay": null}, {"id": "01a21efa-46b9-7ede-b0f3-8656726b307e", "key": "laps", "name": "Laps", "units": "", "number": 2, "decimals": 3, "maxValue": null, "minValue": null, "unitType": "number", "maxPerDay": null}], "streaks": [{"id": "01a21efa-472d-7e1f-80bf-034dc16a19e8", "key": "streaks", "mode": "OR", "number": 4, "daysOff": [], "freezes": {"maxCount": 3, "startCount": 1, "autoEarnAmount": null, "autoEarnInterval": null}, "metrics": [{"metricId": "01a21efa-46b9-77f3-8dee-af3f77b83571", "threshold": 10}], "frequency": "daily", "customizable": false}], "version": 6, "homeZone": "UTC", "settings": [], "triggers": [{"id": "01a21efa-4780-7951-bdf4-063c35852ea5", "key": "01a21efa-4780-7951-bdf4-063c35852ea5", "type": "metric", "number": 9, "points": 3, "status": "active", "activeMs": 1795816048512, "metricId": "01a21efa-46b9-77f3-8dee-af3f77b83571", "systemId": "01a21efa-4780-7c0b-b87f-b08688ab1bd5", "timeUnit": null, "createdMs": 1795816048512, "updatedMs": 1795816048512, "streakLength": null, "timeInterval": null, "achievementId": null, "userAttributes": [], "eventAttributes": [], "metricThreshold": 10, "blockIfOutOfPoints": false}], "attributes": [{"id": "01a21efa-46fa-7197-a261-2e35da76d594", "key": "city", "name": "City", "type": "user", "number": 3}], "achievements": [{"id": "01a21efa-474d-72a6-b240-6550ba3edf5b", "key": "01a21efa-474d-72a6-b240-6550ba3edf5b", "name": "Page", "number": 5, "status": "active", "trigger": "metric", "badgeUrl": null, "metricId": "01a21efa-46b9-77f3-8dee-af3f77b83571", "description": null, "metricValue": 250.0, "streakLength": null, "achievementIds": [], "userAttributes": [], "eventAttributes": [], "anniversaryYears": null}, {"id": "01a21efa-474d-7d9f-9ad2-1e85147db1f7", "key": "01a21efa-474d-7d9f-9ad2-1e85147db1f7", "name": "Three days", "number": 6, "status": "active", "trigger": "streak", "badgeUrl": null, "metricId": null, "description": null, "metricValue": null, "streakLength": 3, "achievementIds": [], "userAttributes": [], "eventAttributes": [], "anniversaryYears": null}], "leaderboards": []}', '2026-11-27 21:47:28.511217+00'),
	(1, 7, '{"boosts": [], "levels": [{"id": "01a21efa-4780-777c-b2f9-818408a73fac", "key": "bronze", "name": "Bronze", "number": 8, "points": 60, "badgeUrl": null, "systemId": "01a21efa-4780-7c0b-b87f-b08688ab1bd5", "description": ""}], "points": [{"id": "01a21efa-4780-7c0b-b87f-b08688ab1bd5", "key": "xp", "name": "Experience", "number": 7, "badgeUrl": null, "maxPoints": null, "description": ""}], "metrics": [{"id": "01a21efa-46b9-77f3-8dee-af3f77b83571", "key": "words", "name": "Words", "units": "", "number": 1, "decimals": 3, "maxValue": null, "minValue": null, "unitType": "number", "maxPerDay": null}, {"id": "01a21efa-46b9-7ede-b0f3-8656726b307e", "key": "laps", "name": "Laps", "units": "", "number": 2, "decimals": 3, "maxValue": null, "minValue": null, "unitType": "number", "maxPerDay": null}], "streaks": [{"id": "01a21efa-472d-7e1f-80bf-034dc16a19e8", "key": "streaks", "mode": "OR", "number": 4, "daysOff": [], "freezes": {"maxCount": 3, "startCount": 1, "autoEarnAmount": null, "autoEarnInterval": null}, "metrics": [{"metricId": "01a21efa-46b9-77f3-8dee-af3f77b83571", "threshold": 10}], "frequency": "daily", "customizable": false}], "version": 7, "homeZone": "UTC", "settings": [], "triggers": [{"id": "01a21efa-4780-7951-bdf4-063c35852ea5", "key": "01a21efa-4780-7951-bdf4-063c35852ea5", "type": "metric", "number": 9, "points": 3, "status": "active", "activeMs": 1795816048512, "metricId": "01a21efa-46b9-77f3-8dee-af3f77b83571", "systemId": "01a21efa-4780-7c0b-b87f-b08688ab1bd5", "timeUnit": null, "createdMs": 1795816048512, "updatedMs": 1795816048512, "streakLength": null, "timeInterval": null, "achievementId": null, "userAttributes": [], "eventAttributes": [], "metricThreshold": 10, "blockIfOutOfPoints": false}], "attributes": [{"id": "01a21efa-46fa-7197-a261-2e35da76d594", "key": "city", "name": "City", "type": "user", "number": 3}], "achievements": [{"id": "01a21efa-474d-72a6-b240-6550ba3edf5b", "key": "01a21efa-474d-72a6-b240-6550ba3edf5b", "name": "Page", "number": 5, "status": "active", "trigger": "metric", "badgeUrl": null, "metricId": "01a21efa-46b9-77f3-8dee-af3f77b83571", "description": null, "metricValue": 250.0, "streakLength": null, "achievementIds": [], "userAttributes": [], "eventAttributes": [], "anniversaryYears": null}, {"id": "01a21efa-474d-7d9f-9ad2-1e85147db1f7", "key": "01a21efa-474d-7d9f-9ad2-1e85147db1f7", "name": "Three days", "number": 6, "status": "active", "trigger": "streak", "badgeUrl": null, "metricId": null, "description": null, "metricValue": null, "streakLength": 3, "achievementIds": [], "userAttributes": [], "eventAttributes": [], "anniversaryYears": null}], "leaderboards": [{"id": "01a21efa-47b5-721c-a0be-89eccf58b899", "end": null, "key": "all-time", "name": "All time", "order": "desc", "start": "2026-11-17", "number": 10, "public": true, "rankBy": "metric", "status": "active", "endTime": null, "endedMs": {}, "groupBy": null, "rewards": [], "runUnit": null, "tieRule": "ordinal", "metricId": "01a21efa-46b9-77f3-8dee-af3f77b83571", "operator": "sum", "aggregate": "sum", "createdMs": 1795816048565, "startTime": null, "finalUntil": null, "minMembers": 1, "description": null, "keepOnLeave": false, "runInterval": null, "aggregateTop": 10, "pointsSystemId": null, "userAttributes": [], "maxParticipants": null, "displayAttributes": [], "breakdownAttributes": []}, {"id": "01a21efa-47b5-782e-b862-e41797d0f796", "end": null, "key": "daily", "name": "Daily", "order": "desc", "start": "2026-11-17", "number": 11, "public": false, "rankBy": "metric", "status": "active", "endTime": null, "endedMs": {}, "groupBy": null, "rewards": [], "runUnit": "day", "tieRule": "ordinal", "metricId": "01a21efa-46b9-77f3-8dee-af3f77b83571", "operator": "sum", "aggregate": "sum", "createdMs": 1795816048565, "startTime": null, "finalUntil": null, "minMembers": 1, "description": null, "keepOnLeave": false, "runInterval": 1, "aggregateTop": 10, "pointsSystemId": null, "userAttributes": [], "maxParticipants": null, "displayAttributes": [], "breakdownAttributes": []}, {"id": "01a21efa-47b5-7df0-ac78-d518efe534bc", "end": null, "key": "fastest", "name": "Fastest", "order": "asc", "start": "2026-11-17", "number": 12, "public": false, "rankBy": "metric", "status": "active", "endTime": null, "endedMs": {}, "groupBy": null, "rewards": [], "runUnit": null, "tieRule": "dense", "metricId": "01a21efa-46b9-7ede-b0f3-8656726b307e", "operator": "best", "aggregate": "sum", "createdMs": 1795816048565, "startTime": null, "finalUntil": null, "minMembers": 1, "description": null, "keepOnLeave": false, "runInterval": null, "aggregateTop": 10, "pointsSystemId": null, "userAttributes": [], "maxParticipants": null, "displayAttributes": [], "breakdownAttributes": []}, {"id": "01a21efa-47b5-7b7e-a6ac-b6bf52b3bc20", "end": null, "key": "cities", "name": "Cities", "order": "desc", "start": "2026-11-17", "number": 13, "public": false, "rankBy": "metric", "status": "active", "endTime": null, "endedMs": {}, "groupBy": "city", "rewards": [], "runUnit": null, "tieRule": "ordinal", "metricId": "01a21efa-46b9-77f3-8dee-af3f77b83571", "operator": "sum", "aggregate": "average", "createdMs": 1795816048565, "startTime": null, "finalUntil": null, "minMembers": 1, "description": null, "keepOnLeave": false, "runInterval": null, "aggregateTop": 10, "pointsSystemId": null, "userAttributes": [], "maxParticipants": null, "displayAttributes": [], "breakdownAttributes": []}, {"id": "01a21efa-47b5-7b33-8545-1ec629ecec5e", "end": null, "key": "weekly-xp", "name": "Weekly", "order": "desc", "start": "2026-11-17", "number": 14, "public": false, "rankBy": "points", "status": "active", "endTime": null, "endedMs": {}, "groupBy": null, "rewards": [], "runUnit": "day", "tieRule": "ordinal", "metricId": null, "operator": "sum", "aggregate": "sum", "createdMs": 1795816048565, "startTime": null, "finalUntil": null, "minMembers": 1, "description": null, "keepOnLeave": false, "runInterval": 7, "aggregateTop": 10, "pointsSystemId": "01a21efa-4780-7c0b-b87f-b08688ab1bd5", "userAttributes": [], "maxParticipants": null, "displayAttributes": [], "breakdownAttributes": []}, {"id": "01a21efa-47b5-7e0b-8ba0-35aea7ea7297", "end": null, "key": "streaks", "name": "Streaks", "order": "desc", "start": "2026-11-17", "number": 15, "public": false, "rankBy": "streak", "status": "active", "endTime": null, "endedMs": {}, "groupBy": null, "rewards": [], "runUnit": null, "tieRule": "ordinal", "metricId": null, "operator": "sum", "aggregate": "sum", "createdMs": 1795816048565, "startTime": null, "finalUntil": null, "minMembers": 1, "description": null, "keepOnLeave": false, "runInterval": null, "aggregateTop": 10, "pointsSystemId": null, "userAttributes": [], "maxParticipants": null, "displayAttributes": [], "breakdownAttributes": []}]}', '2026-11-27 21:47:28.559198+00');
INSERT INTO public.console_accounts VALUES
	('8d3504ef-4fe2-4948-aabb-8bf3834662cc', 1, 'support@example.com', 'Sue', 'support', '$argon2id$v=19$m=65536,t=3,p=4$oE015j9z/jAIY4EYljkqjA$eNUp0IZJ7hQI7xwthxDkOBsK0n2c+ZFsxjvSTguD4rc', '2026-11-27 21:47:35.011988+00', NULL);
INSERT INTO public.events_2026_11 VALUES
	(1, '01a21efa-47e9-7eb0-b24b-f996f6bc06e7', 'ann', 1, 48000, 1795468647000, '2026-11-27 21:47:28.617+00', '776f7264732d342d616e6e', NULL, '2026-11-23', false, NULL),
	(1, '01a21efa-4824-7258-9065-1f62ea2c95f9', 'ann', 2, 56500, 1795468647000, '2026-11-27 21:47:28.676+00', '6c6170732d342d616e6e', NULL, '2026-11-23', false, NULL),
	(1, '01a21efa-4838-7215-9636-098018aa79c1', 'ben', 1, 63000, 1795468707000, '2026-11-27 21:47:28.696+00', '776f7264732d342d62656e', NULL, '2026-11-23', false, NULL),
	(1, '01a21efa-485b-7eea-8db9-fbf3bbc3a4bb', 'ben', 2, 55500, 1795468707000, '2026-11-27 21:47:28.731+00', '6c6170732d342d62656e', NULL, '2026-11-23', false, NULL),
	(1, '01a21efa-487f-77c3-ba2b-9393c80062f5', 'chiyo', 1, 78000, 1795468767000, '2026-11-27 21:47:28.767+00', '776f7264732d342d636869796f', NULL, '2026-11-24', false, NULL),
	(1, '01a21efa-48a1-7208-bd8f-cb97eb86db7b', 'chiyo', 2, 56500, 1795468767000, '2026-11-27 21:47:28.801+00', '6c6170732d342d636869796f', NULL, '2026-11-24', false, NULL),
	(1, '01a21efa-48b6-74d9-a506-c180062bc3e9', '數', 1, 108000, 1795468887000, '2026-11-27 21:47:28.822+00', '776f7264732d342de695b8', NULL, '2026-11-23', false, NULL),
	(1, '01a21efa-48d6-7f6d-9ab0-9dfe1581a214', '數', 2, 56500, 1795468887000, '2026-11-27 21:47:28.854+00', '6c6170732d342de695b8', NULL, '2026-11-23', false, NULL),
	(1, '01a21efa-48e6-7591-beb2-3140eb992ad0', 'ben', 1, 56000, 1795555107000, '2026-11-27 21:47:28.87+00', '776f7264732d332d62656e', NULL, '2026-11-24', false, NULL),
	(1, '01a21efa-48fa-7a8b-ba80-9160f09e7007', 'ben', 2, 56500, 1795555107000, '2026-11-27 21:47:28.89+00', '6c6170732d332d62656e', NULL, '2026-11-24', false, NULL),
	(1, '01a21efa-4907-7741-884a-46de5d547256', 'chiyo', 1, 71000, 1795555167000, '2026-11-27 21:47:28.903+00', '776f7264732d332d636869796f', NULL, '2026-11-25', false, NULL),
	(1, '01a21efa-491b-7202-83e4-5b290d0462bd', 'chiyo', 2, 57500, 1795555167000, '2026-11-27 21:47:28.923+00', '6c6170732d332d636869796f', NULL, '2026-11-25', false, NULL),
	(1, '01a21efa-492e-7020-91c0-a2c4d1111b40', 'dima', 1, 86000, 1795555227000, '2026-11-27 21:47:28.942+00', '776f7264732d332d64696d61', NULL, '2026-11-24', false, NULL),
	(1, '01a21efa-494e-79df-b903-1b39c646d95f', 'dima', 2, 56500, 1795555227000, '2026-11-27 21:47:28.974+00', '6c6170732d332d64696d61', NULL, '2026-11-24', false, NULL),
	(1, '01a21efa-4960-7446-86fc-758a0bfef23f', 'ann', 1, 34000, 1795641447000, '2026-11-27 21:47:28.992+00', '776f7264732d322d616e6e', NULL, '2026-11-25', false, NULL),
	(1, '01a21efa-4976-707b-87c1-d94e6bf931bd', 'ann', 2, 58500, 1795641447000, '2026-11-27 21:47:29.014+00', '6c6170732d322d616e6e', NULL, '2026-11-25', false, NULL),
	(1, '01a21efa-498b-74d1-a93e-15803796fd7e', 'chiyo', 1, 64000, 1795641567000, '2026-11-27 21:47:29.035+00', '776f7264732d322d636869796f', NULL, '2026-11-26', false, NULL),
	(1, '01a21efa-49a0-7d47-9aab-50ee87d25783', 'chiyo', 2, 58500, 1795641567000, '2026-11-27 21:47:29.056+00', '6c6170732d322d636869796f', NULL, '2026-11-26', false, NULL),
	(1, '01a21efa-49b4-7a8f-b06d-93a161bf4f83', 'dima', 1, 79000, 1795641627000, '2026-11-27 21:47:29.076+00', '776f7264732d322d64696d61', NULL, '2026-11-25', false, NULL),
	(1, '01a21efa-49c3-7c6c-a6f2-9a7d114ff184', 'dima', 2, 57500, 1795641627000, '2026-11-27 21:47:29.091+00', '6c6170732d322d64696d61', NULL, '2026-11-25', false, NULL),
	(1, '01a21efa-49df-723e-950c-f01228641d42', '數', 1, 94000, 1795641687000, '2026-11-27 21:47:29.119+00', '776f7264732d322de695b8', NULL, '2026-11-25', false, NULL),
	(1, '01a21efa-49f2-7a76-bfc9-0450435dbd1d', '數', 2, 58500, 1795641687000, '2026-11-27 21:47:29.138+00', '6c6170732d322de695b8', NULL, '2026-11-25', false, NULL),
	(1, '01a21efa-4a05-7811-ba01-3ce6bd89de5c', 'ann', 1, 27000, 1795727847000, '2026-11-27 21:47:29.157+00', '776f7264732d312d616e6e', NULL, '2026-11-26', false, NULL),
	(1, '01a21efa-4a14-7297-8ff6-845e0746ac5c', 'ann', 2, 59500, 1795727847000, '2026-11-27 21:47:29.172+00', '6c6170732d312d616e6e', NULL, '2026-11-26', false, NULL),
	(1, '01a21efa-4a20-7f01-a28e-d326982a06a3', 'ben', 1, 42000, 1795727907000, '2026-11-27 21:47:29.184+00', '776f7264732d312d62656e', NULL, '2026-11-26', false, NULL),
	(1, '01a21efa-4a34-76b8-b058-76209cd03773', 'ben', 2, 58500, 1795727907000, '2026-11-27 21:47:29.204+00', '6c6170732d312d62656e', NULL, '2026-11-26', false, NULL),
	(1, '01a21efa-4a44-7edb-bb03-abcdaf2ce654', 'dima', 1, 72000, 1795728027000, '2026-11-27 21:47:29.22+00', '776f7264732d312d64696d61', NULL, '2026-11-26', false, NULL),
	(1, '01a21efa-4a52-7642-bad9-78e39802d6fa', 'dima', 2, 58500, 1795728027000, '2026-11-27 21:47:29.234+00', '6c6170732d312d64696d61', NULL, '2026-11-26', false, NULL),
	(1, '01a21efa-4a61-7631-8ccc-c8d3a7db140c', '數', 1, 87000, 1795728087000, '2026-11-27 21:47:29.249+00', '776f7264732d312de695b8', NULL, '2026-11-26', false, NULL),
	(1, '01a21efa-4a79-713e-a483-bacc520a6753', '數', 2, 59500, 1795728087000, '2026-11-27 21:47:29.273+00', '6c6170732d312de695b8', NULL, '2026-11-26', false, NULL),
	(1, '01a21efa-4a88-76e3-8744-a687ed1a1307', 'ann', 1, 20000, 1795814247000, '2026-11-27 21:47:29.288+00', '776f7264732d302d616e6e', NULL, '2026-11-27', false, NULL),
	(1, '01a21efa-4aa0-7474-91ad-5d5c1d2c8f45', 'ann', 2, 60500, 1795814247000, '2026-11-27 21:47:29.312+00', '6c6170732d302d616e6e', NULL, '2026-11-27', false, NULL),
	(1, '01a21efa-4ab1-7e95-8d90-1cb0820a1809', 'ben', 1, 35000, 1795814307000, '2026-11-27 21:47:29.329+00', '776f7264732d302d62656e', NULL, '2026-11-27', false, NULL),
	(1, '01a21efa-4ad5-7d9a-96fa-71491e49fdbc', 'ben', 2, 59500, 1795814307000, '2026-11-27 21:47:29.365+00', '6c6170732d302d62656e', NULL, '2026-11-27', false, NULL),
	(1, '01a21efa-4add-7277-b7fd-aa4e0074776a', 'chiyo', 1, 50000, 1795814367000, '2026-11-27 21:47:29.373+00', '776f7264732d302d636869796f', NULL, '2026-11-28', false, NULL),
	(1, '01a21efa-4af7-7a6e-9a72-2654b0883d20', 'chiyo', 2, 60500, 1795814367000, '2026-11-27 21:47:29.399+00', '6c6170732d302d636869796f', NULL, '2026-11-28', false, NULL),
	(1, '01a21efa-4b07-77b5-a82d-afb9f18ebb91', '數', 1, 80000, 1795814487000, '2026-11-27 21:47:29.415+00', '776f7264732d302de695b8', NULL, '2026-11-27', false, NULL),
	(1, '01a21efa-4b22-7cfe-af5d-ce2cf772977f', '數', 2, 60500, 1795814487000, '2026-11-27 21:47:29.442+00', '6c6170732d302de695b8', NULL, '2026-11-27', false, NULL);
INSERT INTO public.group_days VALUES
	(1, 13, '', 'New%20York', '2026-11-23', 1, -63000, 1),
	(1, 13, '', 'London', '2026-11-24', 1, -63000, 2),
	(1, 13, '', 'London', '2026-11-23', 1, -78000, 3),
	(1, 13, '', 'New%20York', '2026-11-24', 1, -102500, 2),
	(1, 13, '', 'London', '2026-11-25', 1, -165666.66666666666, 3),
	(1, 13, '', 'London', '2026-11-26', 1, -203666.66666666666, 3),
	(1, 13, '', 'New%20York', '2026-11-25', 1, -142000, 2),
	(1, 13, '', 'New%20York', '2026-11-26', 1, -199000, 2),
	(1, 13, '', 'London', '2026-11-27', 1, -253666.66666666666, 3),
	(1, 13, '', 'New%20York', '2026-11-27', 1, -216500, 2),
	(1, 13, '', 'London', '2026-11-28', 1, -227000, 3);
INSERT INTO public.idempotency_keys VALUES
	(1, 'ann', 1, '776f7264732d342d616e6e', '01a21efa-47e9-7eb0-b24b-f996f6bc06e7', 1795816048617),
	(1, 'ann', 2, '6c6170732d342d616e6e', '01a21efa-4824-7258-9065-1f62ea2c95f9', 1795816048676),
	(1, 'ben', 1, '776f7264732d342d62656e', '01a21efa-4838-7215-9636-098018aa79c1', 1795816048696),
	(1, 'ben', 2, '6c6170732d342d62656e', '01a21efa-485b-7eea-8db9-fbf3bbc3a4bb', 1795816048731),
	(1, 'chiyo', 1, '776f7264732d342d636869796f', '01a21efa-487f-77c3-ba2b-9393c80062f5', 1795816048767),
	(1, 'chiyo', 2, '6c6170732d342d636869796f', '01a21efa-48a1-7208-bd8f-cb97eb86db7b', 1795816048801),
	(1, '數', 1, '776f7264732d342de695b8', '01a21efa-48b6-74d9-a506-c180062bc3e9', 1795816048822),
	(1, '數', 2, '6c6170732d342de695b8', '01a21efa-48d6-7f6d-9ab0-9dfe1581a214', 1795816048854),
	(1, 'ben', 1, '776f7264732d332d62656e', '01a21efa-48e6-7591-beb2-3140eb992ad0', 1795816048870),
	(1, 'ben', 2, '6c6170732d332d62656e', '01a21efa-48fa-7a8b-ba80-9160f09e7007', 1795816048890),
	(1, 'chiyo', 1, '776f7264732d332d636869796f', '01a21efa-4907-7741-884a-46de5d547256', 1795816048903),
	(1, 'chiyo', 2, '6c6170732d332d636869796f', '01a21efa-491b-7202-83e4-5b290d0462bd', 1795816048923),
	(1, 'dima', 1, '776f7264732d332d64696d61', '01a21efa-492e-7020-91c0-a2c4d1111b40', 1795816048942),
	(1, 'dima', 2, '6c6170732d332d64696d61', '01a21efa-494e-79df-b903-1b39c646d95f', 1795816048974),
	(1, 'ann', 1, '776f7264732d322d616e6e', '01a21efa-4960-7446-86fc-758a0bfef23f', 1795816048992),
	(1, 'ann', 2, '6c6170732d322d616e6e', '01a21efa-4976-707b-87c1-d94e6bf931bd', 1795816049014),
	(1, 'chiyo', 1, '776f7264732d322d636869796f', '01a21efa-498b-74d1-a93e-15803796fd7e', 1795816049035),
	(1, 'chiyo', 2, '6c6170732d322d636869796f', '01a21efa-49a0-7d47-9aab-50ee87d25783', 1795816049056),
	(1, 'dima', 1, '776f7264732d322d64696d61', '01a21efa-49b4-7a8f-b06d-93a161bf4f83', 1795816049076),
	(1, 'dima', 2, '6c6170732d322d64696d61', '01a21efa-49c3-7c6c-a6f2-9a7d114ff184', 1795816049091),
	(1, '數', 1, '776f7264732d322de695b8', '01a21efa-49df-723e-950c-f01228641d42', 1795816049119),
	(1, '數', 2, '6c6170732d322de695b8', '01a21efa-49f2-7a76-bfc9-0450435dbd1d', 1795816049138),
	(1, 'ann', 1, '776f7264732d312d616e6e', '01a21efa-4a05-7811-ba01-3ce6bd89de5c', 1795816049157),
	(1, 'ann', 2, '6c6170732d312d616e6e', '01a21efa-4a14-7297-8ff6-845e0746ac5c', 1795816049172),
	(1, 'ben', 1, '776f7264732d312d62656e', '01a21efa-4a20-7f01-a28e-d326982a06a3', 1795816049184),
	(1, 'ben', 2, '6c6170732d312d62656e', '01a21efa-4a34-76b8-b058-76209cd03773', 1795816049204),
	(1, 'dima', 1, '776f7264732d312d64696d61', '01a21efa-4a44-7edb-bb03-abcdaf2ce654', 1795816049220),
	(1, 'dima', 2, '6c6170732d312d64696d61', '01a21efa-4a52-7642-bad9-78e39802d6fa', 1795816049234),
	(1, '數', 1, '776f7264732d312de695b8', '01a21efa-4a61-7631-8ccc-c8d3a7db140c', 1795816049249),
	(1, '數', 2, '6c6170732d312de695b8', '01a21efa-4a79-713e-a483-bacc520a6753', 1795816049273),
	(1, 'ann', 1, '776f7264732d302d616e6e', '01a21efa-4a88-76e3-8744-a687ed1a1307', 1795816049288),
	(1, 'ann', 2, '6c6170732d302d616e6e', '01a21efa-4aa0-7474-91ad-5d5c1d2c8f45', 1795816049312),
	(1, 'ben', 1, '776f7264732d302d62656e', '01a21efa-4ab1-7e95-8d90-1cb0820a1809', 1795816049329),
	(1, 'ben', 2, '6c6170732d302d62656e', '01a21efa-4ad5-7d9a-96fa-71491e49fdbc', 1795816049365),
	(1, 'chiyo', 1, '776f7264732d302d636869796f', '01a21efa-4add-7277-b7fd-aa4e0074776a', 1795816049373),
	(1, 'chiyo', 2, '6c6170732d302d636869796f', '01a21efa-4af7-7a6e-9a72-2654b0883d20', 1795816049399),
	(1, '數', 1, '776f7264732d302de695b8', '01a21efa-4b07-77b5-a82d-afb9f18ebb91', 1795816049415),
	(1, '數', 2, '6c6170732d302de695b8', '01a21efa-4b22-7cfe-af5d-ce2cf772977f', 1795816049442);
INSERT INTO public.log_positions VALUES
	(1, '8c1fda3db545baaf', '1795816049979-0', '2026-11-27 21:47:29.986289+00');
INSERT INTO public.metric_days VALUES
	(1, 'ann', 1, '2026-11-23', 48000),
	(1, 'ann', 2, '2026-11-23', 56500),
	(1, 'ben', 1, '2026-11-23', 63000),
	(1, 'ben', 2, '2026-11-23', 55500),
	(1, 'chiyo', 1, '2026-11-24', 78000),
	(1, 'chiyo', 2, '2026-11-24', 56500),
	(1, '數', 1, '2026-11-23', 108000),
	(1, '數', 2, '2026-11-23', 56500),
	(1, 'ben', 1, '2026-11-24', 56000),
	(1, 'ben', 2, '2026-11-24', 56500),
	(1, 'chiyo', 1, '2026-11-25', 71000),
	(1, 'chiyo', 2, '2026-11-25', 57500),
	(1, 'dima', 1, '2026-11-24', 86000),
	(1, 'dima', 2, '2026-11-24', 56500),
	(1, 'ann', 1, '2026-11-25', 34000),
	(1, 'ann', 2, '2026-11-25', 58500),
	(1, 'chiyo', 1, '2026-11-26', 64000),
	(1, 'chiyo', 2, '2026-11-26', 58500),
	(1, 'dima', 1, '2026-11-25', 79000),
	(1, 'dima', 2, '2026-11-25', 57500),
	(1, '數', 1, '2026-11-25', 94000),
	(1, '數', 2, '2026-11-25', 58500),
	(1, 'ann', 1, '2026-11-26', 27000),
	(1, 'ann', 2, '2026-11-26', 59500),
	(1, 'ben', 1, '2026-11-26', 42000),
	(1, 'ben', 2, '2026-11-26', 58500),
	(1, 'dima', 1, '2026-11-26', 72000),
	(1, 'dima', 2, '2026-11-26', 58500),
	(1, '數', 1, '2026-11-26', 87000),
	(1, '數', 2, '2026-11-26', 59500),
	(1, 'ann', 1, '2026-11-27', 20000),
	(1, 'ann', 2, '2026-11-27', 60500),
	(1, 'ben', 1, '2026-11-27', 35000),
	(1, 'ben', 2, '2026-11-27', 59500),
	(1, 'chiyo', 1, '2026-11-28', 50000),
	(1, 'chiyo', 2, '2026-11-28', 60500),
	(1, '數', 1, '2026-11-27', 80000),
	(1, '數', 2, '2026-11-27', 60500);
INSERT INTO public.point_awards OVERRIDING SYSTEM VALUE VALUES
	(1, 'c3f42ec8-e4e2-5792-8ce3-b0cfbb189907', 'ann', 7, 9, 12, 12, 1795468647000, '2026-11-23', '{}', '01a21efa-47e9-7eb0-b24b-f996f6bc06e7', 1),
	(1, 'a9f41652-f0a8-5eba-84e5-aaeedee49a73', 'ben', 7, 9, 18, 18, 1795468707000, '2026-11-23', '{}', '01a21efa-4838-7215-9636-098018aa79c1', 2),
	(1, '85974993-5176-5817-88bc-b58ac846b8d1', 'chiyo', 7, 9, 21, 21, 1795468767000, '2026-11-24', '{}', '01a21efa-487f-77c3-ba2b-9393c80062f5', 3),
	(1, 'ef76ec09-82f2-5c28-8e3b-2852f772acf8', '數', 7, 9, 30, 30, 1795468887000, '2026-11-23', '{}', '01a21efa-48b6-74d9-a506-c180062bc3e9', 4),
	(1, '49efaafc-8d40-589a-8b32-935a7576a204', 'ben', 7, 9, 15, 33, 1795555107000, '2026-11-24', '{}', '01a21efa-48e6-7591-beb2-3140eb992ad0', 5),
	(1, 'fc04f2c6-7fd8-5405-8cd9-6f241cedabca', 'chiyo', 7, 9, 21, 42, 1795555167000, '2026-11-25', '{}', '01a21efa-4907-7741-884a-46de5d547256', 6),
	(1, 'c7250f86-d769-5e88-81d7-7dc9bd8ddbb3', 'dima', 7, 9, 24, 24, 1795555227000, '2026-11-24', '{}', '01a21efa-492e-7020-91c0-a2c4d1111b40', 7),
	(1, '38672da5-65d2-5db7-8fd8-2d5bed2ee43a', 'ann', 7, 9, 12, 24, 1795641447000, '2026-11-25', '{}', '01a21efa-4960-7446-86fc-758a0bfef23f', 8),
	(1, '5e3b91fb-7e45-502a-8489-ccf124e4313e', 'chiyo', 7, 9, 21, 63, 1795641567000, '2026-11-26', '{}', '01a21efa-498b-74d1-a93e-15803796fd7e', 9),
	(1, 'e3b03762-3b26-51f7-873d-5ec1a03d8dd5', 'dima', 7, 9, 24, 48, 1795641627000, '2026-11-25', '{}', '01a21efa-49b4-7a8f-b06d-93a161bf4f83', 10),
	(1, 'b5dc5fd0-40c4-5231-8e44-296e137fdfa6', '數', 7, 9, 30, 60, 1795641687000, '2026-11-25', '{}', '01a21efa-49df-723e-950c-f01228641d42', 11),
	(1, '2f29cc96-4fb6-59f5-8fd5-74bff25ffe9f', 'ann', 7, 9, 6, 30, 1795727847000, '2026-11-26', '{}', '01a21efa-4a05-7811-ba01-3ce6bd89de5c', 12),
	(1, '00783451-4eb3-5352-8312-80c9bab9e587', 'ben', 7, 9, 15, 48, 1795727907000, '2026-11-26', '{}', '01a21efa-4a20-7f01-a28e-d326982a06a3', 13),
	(1, '3b748d8c-dba8-5900-847a-8de6bb8e87c8', 'dima', 7, 9, 21, 69, 1795728027000, '2026-11-26', '{}', '01a21efa-4a44-7edb-bb03-abcdaf2ce654', 14),
	(1, '25206e18-505d-5f0b-82aa-11099d6abbb2', '數', 7, 9, 24, 84, 1795728087000, '2026-11-26', '{}', '01a21efa-4a61-7631-8ccc-c8d3a7db140c', 15),
	(1, '26540791-0fc4-5c14-8dd9-fff9fab5b9dc', 'ann', 7, 9, 6, 36, 1795814247000, '2026-11-27', '{}', '01a21efa-4a88-76e3-8744-a687ed1a1307', 16),
	(1, 'f1627d0f-5d69-5d74-8019-81af0bf26450', 'ben', 7, 9, 9, 57, 1795814307000, '2026-11-27', '{}', '01a21efa-4ab1-7e95-8d90-1cb0820a1809', 17),
	(1, '99be45e3-5790-5056-8904-a1fcbd9e42f4', 'chiyo', 7, 9, 15, 78, 1795814367000, '2026-11-28', '{}', '01a21efa-4add-7277-b7fd-aa4e0074776a', 18),
	(1, '247996ad-f16b-5cc2-8011-634a201d6798', '數', 7, 9, 24, 108, 1795814487000, '2026-11-27', '{}', '01a21efa-4b07-77b5-a82d-afb9f18ebb91', 19);
INSERT INTO public.point_days VALUES
	(1, 'ann', 7, '2026-11-23', 12),
	(1, 'ben', 7, '2026-11-23', 18),
	(1, 'chiyo', 7, '2026-11-24', 21),
	(1, '數', 7, '2026-11-23', 30),
	(1, 'ben', 7, '2026-11-24', 15),
	(1, 'chiyo', 7, '2026-11-25', 21),
	(1, 'dima', 7, '2026-11-24', 24),
	(1, 'ann', 7, '2026-11-25', 12),
	(1, 'chiyo', 7, '2026-11-26', 21),
	(1, 'dima', 7, '2026-11-25', 24),
	(1, '數', 7, '2026-11-25', 30),
	(1, 'ann', 7, '2026-11-26', 6),
	(1, 'ben', 7, '2026-11-26', 15),
	(1, 'dima', 7, '2026-11-26', 21),
	(1, '數', 7, '2026-11-26', 24),
	(1, 'ann', 7, '2026-11-27', 6),
	(1, 'ben', 7, '2026-11-27', 9),
	(1, 'chiyo', 7, '2026-11-28', 15),
	(1, '數', 7, '2026-11-27', 24);
INSERT INTO public.rank_days VALUES
	(1, 10, '', 'ann', '2026-11-23', 1, NULL, 48000, NULL),
	(1, 11, '20261123', 'ann', '2026-11-23', 1, NULL, 48000, NULL),
	(1, 13, '', 'ann', '2026-11-23', 1, NULL, 48000, NULL),
	(1, 15, '', 'ann', '2026-11-23', 1, NULL, 1, NULL),
	(1, 14, '20261117', 'ann', '2026-11-23', 1, NULL, 12, NULL),
	(1, 12, '', 'ann', '2026-11-23', 1, NULL, 56500, NULL),
	(1, 10, '', 'ben', '2026-11-23', 1, NULL, 63000, NULL),
	(1, 11, '20261123', 'ben', '2026-11-23', 1, NULL, 63000, NULL),
	(1, 13, '', 'ben', '2026-11-23', 1, NULL, 63000, NULL),
	(1, 15, '', 'ben', '2026-11-23', 2, NULL, 1, NULL),
	(1, 14, '20261117', 'ben', '2026-11-23', 1, NULL, 18, NULL),
	(1, 12, '', 'ben', '2026-11-23', 1, NULL, 55500, NULL),
	(1, 10, '', 'chiyo', '2026-11-24', 1, NULL, 78000, NULL),
	(1, 11, '20261124', 'chiyo', '2026-11-24', 1, NULL, 78000, NULL),
	(1, 13, '', 'chiyo', '2026-11-24', 1, NULL, 78000, NULL),
	(1, 15, '', 'chiyo', '2026-11-24', 3, NULL, 1, NULL),
	(1, 14, '20261124', 'chiyo', '2026-11-24', 1, NULL, 21, NULL),
	(1, 12, '', 'chiyo', '2026-11-24', 2, NULL, 56500, NULL),
	(1, 10, '', '數', '2026-11-23', 1, NULL, 108000, NULL),
	(1, 11, '20261123', '數', '2026-11-23', 1, NULL, 108000, NULL),
	(1, 13, '', '數', '2026-11-23', 1, NULL, 108000, NULL),
	(1, 15, '', '數', '2026-11-23', 4, NULL, 1, NULL),
	(1, 14, '20261117', '數', '2026-11-23', 1, NULL, 30, NULL),
	(1, 12, '', '數', '2026-11-23', 2, NULL, 56500, NULL),
	(1, 10, '', 'ben', '2026-11-24', 1, 3, 119000, 63000),
	(1, 11, '20261124', 'ben', '2026-11-24', 2, NULL, 56000, NULL),
	(1, 13, '', 'ben', '2026-11-24', 1, 3, 119000, 63000),
	(1, 15, '', 'ben', '2026-11-24', 1, 2, 2, 1),
	(1, 14, '20261124', 'ben', '2026-11-24', 2, NULL, 15, NULL),
	(1, 10, '', 'chiyo', '2026-11-25', 1, 3, 149000, 78000),
	(1, 11, '20261125', 'chiyo', '2026-11-25', 1, NULL, 71000, NULL),
	(1, 13, '', 'chiyo', '2026-11-25', 1, 3, 149000, 78000),
	(1, 15, '', 'chiyo', '2026-11-25', 2, 3, 2, 1),
	(1, 14, '20261124', 'chiyo', '2026-11-25', 1, 1, 42, 21),
	(1, 10, '', 'dima', '2026-11-24', 4, NULL, 86000, NULL),
	(1, 11, '20261124', 'dima', '2026-11-24', 1, NULL, 86000, NULL),
	(1, 13, '', 'dima', '2026-11-24', 4, NULL, 86000, NULL),
	(1, 15, '', 'dima', '2026-11-24', 5, NULL, 1, NULL),
	(1, 14, '20261124', 'dima', '2026-11-24', 2, NULL, 24, NULL),
	(1, 12, '', 'dima', '2026-11-24', 2, NULL, 56500, NULL),
	(1, 10, '', 'ann', '2026-11-25', 5, 5, 82000, 48000),
	(1, 11, '20261125', 'ann', '2026-11-25', 2, NULL, 34000, NULL),
	(1, 13, '', 'ann', '2026-11-25', 5, 5, 82000, 48000),
	(1, 15, '', 'ann', '2026-11-25', 3, 3, 2, 1),
	(1, 14, '20261124', 'ann', '2026-11-25', 4, NULL, 12, NULL),
	(1, 10, '', 'chiyo', '2026-11-26', 1, 1, 213000, 149000),
	(1, 11, '20261126', 'chiyo', '2026-11-26', 1, NULL, 64000, NULL),
	(1, 13, '', 'chiyo', '2026-11-26', 1, 1, 213000, 149000),
	(1, 15, '', 'chiyo', '2026-11-26', 1, 2, 3, 2),
	(1, 14, '20261124', 'chiyo', '2026-11-26', 1, 1, 63, 42),
	(1, 10, '', 'dima', '2026-11-25', 2, 4, 165000, 86000),
	(1, 11, '20261125', 'dima', '2026-11-25', 1, NULL, 79000, NULL),
	(1, 13, '', 'dima', '2026-11-25', 2, 4, 165000, 86000),
	(1, 15, '', 'dima', '2026-11-25', 4, 5, 2, 1),
	(1, 14, '20261124', 'dima', '2026-11-25', 2, 2, 48, 24),
	(1, 10, '', '數', '2026-11-25', 2, 4, 202000, 108000),
	(1, 11, '20261125', '數', '2026-11-25', 1, NULL, 94000, NULL),
	(1, 13, '', '數', '2026-11-25', 2, 4, 202000, 108000),
	(1, 15, '', '數', '2026-11-25', 5, 5, 2, 1),
	(1, 14, '20261124', '數', '2026-11-25', 3, NULL, 30, NULL),
	(1, 10, '', 'ann', '2026-11-26', 5, 5, 109000, 82000),
	(1, 11, '20261126', 'ann', '2026-11-26', 2, NULL, 27000, NULL),
	(1, 13, '', 'ann', '2026-11-26', 5, 5, 109000, 82000),
	(1, 15, '', 'ann', '2026-11-26', 2, 3, 3, 2),
	(1, 14, '20261124', 'ann', '2026-11-26', 4, 5, 18, 12),
	(1, 10, '', 'ben', '2026-11-26', 4, 4, 161000, 119000),
	(1, 11, '20261126', 'ben', '2026-11-26', 2, NULL, 42000, NULL),
	(1, 13, '', 'ben', '2026-11-26', 4, 4, 161000, 119000),
	(1, 15, '', 'ben', '2026-11-26', 3, 3, 3, 2),
	(1, 14, '20261124', 'ben', '2026-11-26', 4, 5, 30, 15),
	(1, 10, '', 'dima', '2026-11-26', 1, 3, 237000, 165000),
	(1, 11, '20261126', 'dima', '2026-11-26', 1, NULL, 72000, NULL),
	(1, 13, '', 'dima', '2026-11-26', 1, 3, 237000, 165000),
	(1, 15, '', 'dima', '2026-11-26', 4, 4, 3, 2),
	(1, 14, '20261124', 'dima', '2026-11-26', 1, 2, 69, 48),
	(1, 10, '', '數', '2026-11-26', 1, 3, 289000, 202000),
	(1, 11, '20261126', '數', '2026-11-26', 1, NULL, 87000, NULL),
	(1, 13, '', '數', '2026-11-26', 1, 3, 289000, 202000),
	(1, 15, '', '數', '2026-11-26', 5, 5, 3, 2),
	(1, 14, '20261124', '數', '2026-11-26', 3, 3, 54, 30),
	(1, 10, '', 'ann', '2026-11-27', 5, 5, 129000, 109000),
	(1, 11, '20261127', 'ann', '2026-11-27', 1, NULL, 20000, NULL),
	(1, 13, '', 'ann', '2026-11-27', 5, 5, 129000, 109000),
	(1, 15, '', 'ann', '2026-11-27', 1, 2, 4, 3),
	(1, 14, '20261124', 'ann', '2026-11-27', 5, 5, 24, 18),
	(1, 10, '', 'ben', '2026-11-27', 4, 4, 196000, 161000),
	(1, 11, '20261127', 'ben', '2026-11-27', 1, NULL, 35000, NULL),
	(1, 13, '', 'ben', '2026-11-27', 4, 4, 196000, 161000),
	(1, 15, '', 'ben', '2026-11-27', 2, 3, 4, 3),
	(1, 14, '20261124', 'ben', '2026-11-27', 4, 4, 39, 30),
	(1, 10, '', 'chiyo', '2026-11-28', 2, 3, 263000, 213000),
	(1, 11, '20261128', 'chiyo', '2026-11-28', 1, NULL, 50000, NULL),
	(1, 13, '', 'chiyo', '2026-11-28', 2, 3, 263000, 213000),
	(1, 15, '', 'chiyo', '2026-11-28', 3, 3, 4, 3),
	(1, 14, '20261124', 'chiyo', '2026-11-28', 1, 2, 78, 63),
	(1, 10, '', '數', '2026-11-27', 1, 1, 369000, 289000),
	(1, 11, '20261127', '數', '2026-11-27', 1, NULL, 80000, NULL),
	(1, 13, '', '數', '2026-11-27', 1, 1, 369000, 289000),
	(1, 15, '', '數', '2026-11-27', 4, 5, 4, 3),
	(1, 14, '20261124', '數', '2026-11-27', 2, 3, 78, 54);
INSERT INTO public.space_days VALUES
	(1, '2026-11-27', 38);
INSERT INTO public.spaces OVERRIDING SYSTEM VALUE VALUES
	(1, 'fgr6ip4ny882', 'production', 'default', 'UTC', 'MiybHYkUlu7eL7VEZDllA7fP6NlqNkhHBrj7P8ahHqM', '{}', 7, 16, '2026-11-27 21:47:12.941+00', NULL, NULL, false, '2026-11-27 21:47:12.933776+00');
INSERT INTO public.streak_periods VALUES
	(1, 'ann', 0, 739943, 1, false, false),
	(1, 'ann', 1, 105706, 1, false, false),
	(1, 'ann', 2, 24322, 1, false, false),
	(1, 'ben', 0, 739943, 1, false, false),
	(1, 'ben', 1, 105706, 1, false, false),
	(1, 'ben', 2, 24322, 1, false, false),
	(1, 'chiyo', 0, 739944, 1, false, false),
	(1, 'chiyo', 1, 105706, 1, false, false),
	(1, 'chiyo', 2, 24322, 1, false, false),
	(1, '數', 0, 739943, 1, false, false),
	(1, '數', 1, 105706, 1, false, false),
	(1, '數', 2, 24322, 1, false, false),
	(1, 'ben', 0, 739944, 2, false, false),
	(1, 'chiyo', 0, 739945, 2, false, false),
	(1, 'dima', 0, 739944, 1, false, false),
	(1, 'dima', 1, 105706, 1, false, false),
	(1, 'dima', 2, 24322, 1, false, false),
	(1, 'ann', 0, 739944, 1, true, false),
	(1, 'ann', 0, 739945, 2, false, false),
	(1, 'chiyo', 0, 739946, 3, false, false),
	(1, 'dima', 0, 739945, 2, false, false),
	(1, '數', 0, 739944, 1, true, false),
	(1, '數', 0, 739945, 2, false, false),
	(1, 'ann', 0, 739946, 3, false, false),
	(1, 'ben', 0, 739945, 2, true, false),
	(1, 'ben', 0, 739946, 3, false, false),
	(1, 'dima', 0, 739946, 3, false, false),
	(1, '數', 0, 739946, 3, false, false),
	(1, 'ann', 0, 739947, 4, false, false),
	(1, 'ben', 0, 739947, 4, false, false),
	(1, 'chiyo', 0, 739947, 3, true, false),
	(1, 'chiyo', 0, 739948, 4, false, false),
	(1, '數', 0, 739947, 4, false, false);
INSERT INTO public.sweeps VALUES
	(1, '{"time":"78db8d5ce4ab0f98","own":"","goals":{"5":"c944539afaa5552e","6":"5b8f9f65473de58f"}}', '2026-11-27 21:47:29.896565+00');
INSERT INTO public.user_facts VALUES
	(1, 'chiyo', 1795641567000, 'level', 8, 7),
	(1, '數', 1795641687000, 'level', 8, 7),
	(1, 'dima', 1795728027000, 'level', 8, 7);
INSERT INTO public.user_points VALUES
	(1, 7, 'dima', 69),
	(1, 7, 'ann', 36),
	(1, 7, 'ben', 57),
	(1, 7, 'chiyo', 78),
	(1, 7, '數', 108);
INSERT INTO public.user_streaks VALUES
	(1, 1, 'ann', 1, 1),
	(1, 2, 'ann', 1, 1),
	(1, 1, 'ben', 1, 1),
	(1, 2, 'ben', 1, 1),
	(1, 1, 'chiyo', 1, 1),
	(1, 2, 'chiyo', 1, 1),
	(1, 1, '數', 1, 1),
	(1, 2, '數', 1, 1),
	(1, 1, 'dima', 1, 1),
	(1, 2, 'dima', 1, 1),
	(1, 0, 'dima', 3, 3),
	(1, 0, 'ann', 4, 4),
	(1, 0, 'ben', 4, 4),
	(1, 0, 'chiyo', 4, 4),
	(1, 0, '數', 4, 4);
INSERT INTO public.user_words VALUES
	(1, 'ann', 'ann'),
	(1, 'ben', 'ben'),
	(1, 'chiyo', 'chiyo'),
	(1, '數', '數'),
	(1, 'dima', 'dima');
INSERT INTO public.users VALUES
	(1, 'ann', 'Ann', NULL, 'Europe/London', '{"city": "London"}', 1795816048617, 1795816048617, 1795814247000, 'NMHmfOHxUs_b.1.0', '[[1795816048617,1795816048617,"Ann",null,"Europe/London",true,{"city":"London"},[],null,false],2,1795814247000,0,{"1":129000,"2":235000},{"10:":[129000,1795814247000,0],"11:20261123":[48000,1795468647000,0],"13:":[129000,1795814247000,0],"13::London":[129000,1795814247000,0],"15:":[4,1795814247000,0],"14:20261117":[12,1795468647000,0],"12:":[56500,1795468647000,0],"11:20261125":[34000,1795641447000,0],"14:20261124":[24,1795814247000,0],"11:20261126":[27000,1795727847000,0],"11:20261127":[20000,1795814247000,0]},2969,[],[10,11,12,13,14,15],[[[[[739943,739947,4]],4,[739943,739945,739946,739947]],[[[105706,105706,1]],1,[105706]],[[[24322,24322,1]],1,[24322]]],{"1":[{"739947":20000},{"105706":129000},{"24322":129000}]},0,739943,[[0,739944]],[],1795814247000],{"7":36},{"6":-88202},{},1795816048617,739947,1795910400000,739947,null,{},{},{},{}]'),
	(1, 'chiyo', 'Chiyo', NULL, 'Asia/Tokyo', '{"city": "London"}', 1795816048767, 1795816048767, 1795814367000, 'NMHmfOHxUs_b.1.2', '[[1795816048767,1795816048767,"Chiyo",null,"Asia/Tokyo",true,{"city":"London"},[],null,false],2,1795814367000,0,{"1":263000,"2":233000},{"10:":[263000,1795814367000,0],"11:20261124":[78000,1795468767000,0],"13:":[263000,1795814367000,0],"13::London":[263000,1795814367000,0],"15:":[4,1795814367000,0],"14:20261124":[78,1795814367000,0],"12:":[56500,1795468767000,0],"11:20261125":[71000,1795555167000,0],"11:20261126":[64000,1795641567000,0],"11:20261128":[50000,1795814367000,0]},2969,[],[10,11,12,13,14,15],[[[[[739944,739948,4]],4,[739944,739945,739946,739948]],[[[105706,105706,1]],1,[105706]],[[[24322,24322,1]],1,[24322]]],{"1":[{"739948":50000},{"105706":263000},{"24322":263000}]},0,739944,[[0,739947]],[],1795814367000],{"7":78},{"6":-174482,"5":-1682},{},1795816048767,739948,1795964400000,739948,null,{},{},{},{}]'),
	(1, 'dima', 'Dima', NULL, NULL, '{"city": "New York"}', 1795816048942, 1795816048942, 1795728027000, 'NMHmfOHxUs_b.1.3', '[[1795816048942,1795816048942,"Dima",null,null,true,{"city":"New York"},[],null,false],2,1795728027000,0,{"1":237000,"2":172500},{"10:":[237000,1795728027000,0],"11:20261124":[86000,1795555227000,0],"13:":[237000,1795728027000,0],"13::New%20York":[237000,1795728027000,0],"15:":[3,1795728027000,0],"14:20261124":[69,1795728027000,0],"12:":[56500,1795555227000,0],"11:20261125":[79000,1795641627000,0],"11:20261126":[72000,1795728027000,0]},2969,[],[10,11,12,13,14,15],[[[[[739944,739946,3]],3,[739944,739945,739946]],[[[105706,105706,1]],1,[105706]],[[[24322,24322,1]],1,[24322]]],{"1":[{"739946":72000},{"105706":237000},{"24322":237000}]},1,739944,[],[],1795728027000],{"7":69},{"6":-88022},{},1795816048942,739947,1795824000000,739947,null,{},{},{},{}]'),
	(1, 'ben', 'Ben', NULL, 'America/New_York', '{"city": "New York"}', 1795816048696, 1795816048696, 1795814307000, 'NMHmfOHxUs_b.1.1', '[[1795816048696,1795816048696,"Ben",null,"America/New_York",true,{"city":"New York"},[],null,false],2,1795814307000,0,{"1":196000,"2":230000},{"10:":[196000,1795814307000,0],"11:20261123":[63000,1795468707000,0],"13:":[196000,1795814307000,0],"13::New%20York":[196000,1795814307000,0],"15:":[4,1795814307000,0],"14:20261117":[18,1795468707000,0],"12:":[55500,1795468707000,0],"11:20261124":[56000,1795555107000,0],"14:20261124":[39,1795814307000,0],"11:20261126":[42000,1795727907000,0],"11:20261127":[35000,1795814307000,0]},2969,[],[10,11,12,13,14,15],[[[[[739943,739947,4]],4,[739943,739944,739946,739947]],[[[105706,105706,1]],1,[105706]],[[[24322,24322,1]],1,[24322]]],{"1":[{"739947":35000},{"105706":196000},{"24322":196000}]},0,739943,[[0,739945]],[],1795814307000],{"7":57},{"6":-88142},{},1795816048696,739947,1795928400000,739947,null,{},{},{},{}]'),
	(1, '數', '數', NULL, NULL, '{"city": "London"}', 1795816048822, 1795816048822, 1795814487000, 'NMHmfOHxUs_b.1.4', '[[1795816048822,1795816048822,"數",null,null,true,{"city":"London"},[],null,false],2,1795814487000,0,{"1":369000,"2":235000},{"10:":[369000,1795814487000,0],"11:20261123":[108000,1795468887000,0],"13:":[369000,1795814487000,0],"13::London":[369000,1795814487000,0],"15:":[4,1795814487000,0],"14:20261117":[30,1795468887000,0],"12:":[56500,1795468887000,0],"11:20261125":[94000,1795641687000,0],"14:20261124":[78,1795814487000,0],"11:20261126":[87000,1795728087000,0],"11:20261127":[80000,1795814487000,0]},2969,[],[10,11,12,13,14,15],[[[[[739943,739947,4]],4,[739943,739945,739946,739947]],[[[105706,105706,1]],1,[105706]],[[[24322,24322,1]],1,[24322]]],{"1":[{"739947":80000},{"105706":369000},{"24322":369000}]},0,739943,[[0,739944]],[],1795814487000],{"7":108},{"6":-87962,"5":-87962},{},1795816048822,739947,1795910400000,739947,null,{},{},{},{}]');
SELECT pg_catalog.setval('public.audit_log_id_seq', 16, true);
SELECT pg_catalog.setval('public.point_awards_seq_seq', 19, true);
SELECT pg_catalog.setval('public.rejected_entries_id_seq', 1, false);
SELECT pg_catalog.setval('public.spaces_id_seq', 1, true);
ALTER TABLE ONLY public.achievement_completions
    ADD CONSTRAINT achievement_completions_pkey PRIMARY KEY (space_id, achievement, user_id);
ALTER TABLE ONLY public.achievement_counts
    ADD CONSTRAINT achievement_counts_pkey PRIMARY KEY (space_id, achievement);
ALTER TABLE ONLY public.alembic_version
    ADD CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num);
ALTER TABLE ONLY public.api_keys
    ADD CONSTRAINT api_keys_hash_key UNIQUE (hash);
ALTER TABLE ONLY public.api_keys
    ADD CONSTRAINT api_keys_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.audit_log
    ADD CONSTRAINT audit_log_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.board_days
    ADD CONSTRAINT board_days_pkey PRIMARY KEY (space_id, leaderboard, run, day);
ALTER TABLE ONLY public.board_entries
    ADD CONSTRAINT board_entries_pkey PRIMARY KEY (space_id, leaderboard, run, grp, user_id);
ALTER TABLE ONLY public.board_fills
    ADD CONSTRAINT board_fills_pkey PRIMARY KEY (space_id, leaderboard);
ALTER TABLE ONLY public.boost_changes
    ADD CONSTRAINT boost_changes_pkey PRIMARY KEY (space_id, boost, finished);
ALTER TABLE ONLY public.catalog_items
    ADD CONSTRAINT catalog_items_pkey PRIMARY KEY (space_id, kind, id);
ALTER TABLE ONLY public.catalog_items
    ADD CONSTRAINT catalog_items_space_id_number_key UNIQUE (space_id, number);
ALTER TABLE ONLY public.catalog_versions
    ADD CONSTRAINT catalog_versions_pkey PRIMARY KEY (space_id, version);
ALTER TABLE ONLY public.console_accounts
    ADD CONSTRAINT console_accounts_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.final_runs
    ADD CONSTRAINT final_runs_pkey PRIMARY KEY (space_id, leaderboard, run);
ALTER TABLE ONLY public.group_days
    ADD CONSTRAINT group_days_pkey PRIMARY KEY (space_id, leaderboard, run, grp, day);
ALTER TABLE ONLY public.group_standings
    ADD CONSTRAINT group_standings_pkey PRIMARY KEY (space_id, leaderboard, run, place);
ALTER TABLE ONLY public.idempotency_keys
    ADD CONSTRAINT idempotency_keys_pkey PRIMARY KEY (space_id, user_id, metric, key);
ALTER TABLE ONLY public.key_uses
    ADD CONSTRAINT key_uses_pkey PRIMARY KEY (key_id);
ALTER TABLE ONLY public.log_positions
    ADD CONSTRAINT log_positions_pkey PRIMARY KEY (space_id);
ALTER TABLE ONLY public.metric_days
    ADD CONSTRAINT metric_days_pkey PRIMARY KEY (space_id, user_id, metric, day);
ALTER TABLE ONLY public.point_awards
    ADD CONSTRAINT point_awards_pkey PRIMARY KEY (space_id, id);
ALTER TABLE ONLY public.point_days
    ADD CONSTRAINT point_days_pkey PRIMARY KEY (space_id, user_id, system, day);
ALTER TABLE ONLY public.rank_days
    ADD CONSTRAINT rank_days_pkey PRIMARY KEY (space_id, leaderboard, run, user_id, day);
ALTER TABLE ONLY public.rejected_entries
    ADD CONSTRAINT rejected_entries_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.run_standings
    ADD CONSTRAINT run_standings_pkey PRIMARY KEY (space_id, leaderboard, run, grp, place);
ALTER TABLE ONLY public.space_days
    ADD CONSTRAINT space_days_pkey PRIMARY KEY (space_id, day);
ALTER TABLE ONLY public.spaces
    ADD CONSTRAINT spaces_environment_tenant_key UNIQUE (environment, tenant);
ALTER TABLE ONLY public.spaces
    ADD CONSTRAINT spaces_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.spaces
    ADD CONSTRAINT spaces_public_id_key UNIQUE (public_id);
ALTER TABLE ONLY public.streak_pauses
    ADD CONSTRAINT streak_pauses_pkey PRIMARY KEY (space_id, id);
ALTER TABLE ONLY public.streak_periods
    ADD CONSTRAINT streak_periods_pkey PRIMARY KEY (space_id, user_id, track, period);
ALTER TABLE ONLY public.sweeps
    ADD CONSTRAINT sweeps_pkey PRIMARY KEY (space_id);
ALTER TABLE ONLY public.user_points
    ADD CONSTRAINT user_points_pkey PRIMARY KEY (space_id, system, user_id);
ALTER TABLE ONLY public.user_streaks
    ADD CONSTRAINT user_streaks_pkey PRIMARY KEY (space_id, track, user_id);
ALTER TABLE ONLY public.user_words
    ADD CONSTRAINT user_words_pkey PRIMARY KEY (space_id, user_id, word);
ALTER TABLE ONLY public.users
    ADD CONSTRAINT users_pkey PRIMARY KEY (space_id, id);
CREATE INDEX achievement_completions_of_user ON public.achievement_completions USING btree (space_id, user_id, at_ms);
CREATE INDEX audit_log_item ON public.audit_log USING btree (space_id, item, id DESC);
CREATE INDEX audit_log_recent ON public.audit_log USING btree (space_id, id DESC);
CREATE INDEX audit_log_user ON public.audit_log USING btree (space_id, COALESCE((after ->> 'userId'::text), (before ->> 'userId'::text)), id DESC) WHERE (COALESCE((after ->> 'userId'::text), (before ->> 'userId'::text)) IS NOT NULL);
CREATE UNIQUE INDEX catalog_items_key ON public.catalog_items USING btree (space_id, kind, scope, key) WHERE (archived_at IS NULL);
CREATE UNIQUE INDEX console_accounts_email ON public.console_accounts USING btree (lower(email)) WHERE (disabled_at IS NULL);
CREATE INDEX events_id ON ONLY public.events USING btree (space_id, id);
CREATE INDEX events_2026_11_space_id_id_idx ON public.events_2026_11 USING btree (space_id, id);
CREATE INDEX events_user ON ONLY public.events USING btree (space_id, user_id, metric, at_ms);
CREATE INDEX events_2026_11_space_id_user_id_metric_at_ms_idx ON public.events_2026_11 USING btree (space_id, user_id, metric, at_ms);
CREATE INDEX events_2026_12_space_id_id_idx ON public.events_2026_12 USING btree (space_id, id);
CREATE INDEX events_2026_12_space_id_user_id_metric_at_ms_idx ON public.events_2026_12 USING btree (space_id, user_id, metric, at_ms);
CREATE INDEX events_2027_01_space_id_id_idx ON public.events_2027_01 USING btree (space_id, id);
CREATE INDEX events_2027_01_space_id_user_id_metric_at_ms_idx ON public.events_2027_01 USING btree (space_id, user_id, metric, at_ms);
CREATE INDEX events_default_space_id_id_idx ON public.events_default USING btree (space_id, id);
CREATE INDEX events_default_space_id_user_id_metric_at_ms_idx ON public.events_default USING btree (space_id, user_id, metric, at_ms);
CREATE INDEX idempotency_keys_recent ON public.idempotency_keys USING brin (received_ms);
CREATE INDEX point_awards_newest ON public.point_awards USING btree (space_id, user_id, system, at_ms, seq);
CREATE INDEX run_standings_user ON public.run_standings USING btree (space_id, user_id, leaderboard, run);
CREATE UNIQUE INDEX spaces_tenant_id ON public.spaces USING btree (tenant_id);
CREATE INDEX user_facts_newest ON public.user_facts USING btree (space_id, user_id, at_ms);
CREATE INDEX user_streaks_active ON public.user_streaks USING btree (space_id, track, length DESC, user_id);
CREATE INDEX user_streaks_longest ON public.user_streaks USING btree (space_id, track, longest DESC, user_id);
CREATE INDEX user_words_find ON public.user_words USING btree (space_id, word, user_id);
CREATE INDEX users_by_attribute ON public.users USING gin (attributes jsonb_path_ops);
ALTER INDEX public.events_id ATTACH PARTITION public.events_2026_11_space_id_id_idx;
ALTER INDEX public.events_user ATTACH PARTITION public.events_2026_11_space_id_user_id_metric_at_ms_idx;
ALTER INDEX public.events_id ATTACH PARTITION public.events_2026_12_space_id_id_idx;
ALTER INDEX public.events_user ATTACH PARTITION public.events_2026_12_space_id_user_id_metric_at_ms_idx;
ALTER INDEX public.events_id ATTACH PARTITION public.events_2027_01_space_id_id_idx;
ALTER INDEX public.events_user ATTACH PARTITION public.events_2027_01_space_id_user_id_metric_at_ms_idx;
ALTER INDEX public.events_id ATTACH PARTITION public.events_default_space_id_id_idx;
ALTER INDEX public.events_user ATTACH PARTITION public.events_default_space_id_user_id_metric_at_ms_idx;
CREATE TRIGGER user_words_changed AFTER UPDATE OF name, email ON public.users FOR EACH ROW WHEN (((old.name IS DISTINCT FROM new.name) OR (old.email IS DISTINCT FROM new.email))) EXECUTE FUNCTION public.keep_user_words();
CREATE TRIGGER user_words_gone AFTER DELETE ON public.users FOR EACH ROW EXECUTE FUNCTION public.keep_user_words();
CREATE TRIGGER user_words_new AFTER INSERT ON public.users FOR EACH ROW WHEN (((new.name IS NOT NULL) OR (new.email IS NOT NULL))) EXECUTE FUNCTION public.keep_user_words();
ALTER TABLE ONLY public.api_keys
    ADD CONSTRAINT api_keys_space_id_fkey FOREIGN KEY (space_id) REFERENCES public.spaces(id);
ALTER TABLE ONLY public.audit_log
    ADD CONSTRAINT audit_log_space_id_fkey FOREIGN KEY (space_id) REFERENCES public.spaces(id);
ALTER TABLE ONLY public.catalog_items
    ADD CONSTRAINT catalog_items_space_id_fkey FOREIGN KEY (space_id) REFERENCES public.spaces(id);
ALTER TABLE ONLY public.catalog_versions
    ADD CONSTRAINT catalog_versions_space_id_fkey FOREIGN KEY (space_id) REFERENCES public.spaces(id);
ALTER TABLE ONLY public.console_accounts
    ADD CONSTRAINT console_accounts_space_id_fkey FOREIGN KEY (space_id) REFERENCES public.spaces(id);
ALTER TABLE ONLY public.key_uses
    ADD CONSTRAINT key_uses_key_id_fkey FOREIGN KEY (key_id) REFERENCES public.api_keys(id) ON DELETE CASCADE;
ALTER TABLE ONLY public.log_positions
    ADD CONSTRAINT log_positions_space_id_fkey FOREIGN KEY (space_id) REFERENCES public.spaces(id);
