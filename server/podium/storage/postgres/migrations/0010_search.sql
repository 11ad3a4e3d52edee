-- What users are found by, besides their ids: their names from each word on, and their e-mails, without case and
-- accents. "Ada Lovelace" is found by "ada", by "ada lo" and by "love".

-- NFKD takes accents off letters; the classes are what then stands alone: combining marks, and white space. Most text
-- is ASCII, which has none. Not STRICT: a strict function is not inlined, which would cost more than all it does.
CREATE FUNCTION folded(text) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT btrim(regexp_replace(lower(
        CASE WHEN octet_length($1) = char_length($1) THEN $1
        ELSE regexp_replace(normalize($1, NFKD), '[\u0300-\u036f\u0483-\u0487\u064b-\u065f]', '', 'g') END
    ), '\s+', ' ', 'g'))
$$;

-- At most 8 words of a name are a beginning, of 100 characters each: an index entry has its limits.
CREATE FUNCTION search_words(name text, email text) RETURNS text[] LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
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

CREATE TABLE user_words (
    space_id integer NOT NULL,
    user_id  text COLLATE "C" NOT NULL,
    word     text COLLATE "C" NOT NULL,
    PRIMARY KEY (space_id, user_id, word)
);
CREATE INDEX user_words_find ON user_words (space_id, word, user_id);

-- A trigger, so that whoever writes users (flusher, rebuild, eraser) need not think of it. Names change seldom, and
-- WHEN is all that other updates pay.
CREATE FUNCTION keep_user_words() RETURNS trigger LANGUAGE plpgsql AS $$
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
CREATE TRIGGER user_words_new AFTER INSERT ON users FOR EACH ROW
    WHEN (NEW.name IS NOT NULL OR NEW.email IS NOT NULL) EXECUTE FUNCTION keep_user_words();
CREATE TRIGGER user_words_changed AFTER UPDATE OF name, email ON users FOR EACH ROW
    WHEN (OLD.name IS DISTINCT FROM NEW.name OR OLD.email IS DISTINCT FROM NEW.email)
    EXECUTE FUNCTION keep_user_words();
CREATE TRIGGER user_words_gone AFTER DELETE ON users FOR EACH ROW EXECUTE FUNCTION keep_user_words();

INSERT INTO user_words (space_id, user_id, word)
SELECT space_id, id, unnest(search_words(name, email)) FROM users ON CONFLICT DO NOTHING;

DROP INDEX users_by_name, users_by_email;
