-- What users are found by, besides their ids: their names from each word on, and their e-mails, without case and
-- accents. "Ada Lovelace" is found by "ada", by "ada lo" and by "love".

-- NFKD takes accents off letters; the classes are what then stands alone: combining marks, and white space.
CREATE FUNCTION folded(text) RETURNS text LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$
    SELECT btrim(regexp_replace(
        lower(regexp_replace(normalize($1, NFKD), '[\u0300-\u036f\u0483-\u0487\u064b-\u065f]', '', 'g')), '\s+', ' ', 'g'))
$$;

-- At most 8 words of a name are a beginning, of 100 characters each: an index entry has its limits.
CREATE FUNCTION search_words(name text, email text) RETURNS SETOF text
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT left(array_to_string(words[at:], ' '), 100)
    FROM (SELECT string_to_array(folded(name), ' ') AS words) AS split, generate_series(1, least(8, cardinality(words))) AS at
    WHERE words[at] <> ''
    UNION SELECT left(folded(email), 100) WHERE email <> ''
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
        SELECT NEW.space_id, NEW.id, word FROM search_words(NEW.name, NEW.email) AS word;
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
SELECT space_id, id, word FROM users, search_words(name, email) AS word;

DROP INDEX users_by_name, users_by_email;
