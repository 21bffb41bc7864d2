"""Tables, roles and policies in the schema `footnote`. SQL alone; connects to nothing.

Every table but the list of collections is partitioned by collection: what belongs to one lies in
three tables of its own, made with it and dropped with it. The program works as `footnote_app`, a role
that owns nothing, may not pass row-level security, and has no right to a partition by its own name.
What needs an owner's right is done by functions that run with it.

A row of `words` is what one publication did to one word: how many passages came or went that have
it, and of those that came the key, how often, and how long the passage is (`rag.postgres.words`).
"""

from __future__ import annotations

__all__ = ["APP_ROLE", "NAME", "SCHEMA", "STATEMENTS"]

SCHEMA = 1
APP_ROLE = "footnote_app"
NAME = "^[.]?[A-Za-z0-9][A-Za-z0-9._-]{0,70}$"

_ROLE = f"""
DO $$ BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = '{APP_ROLE}') THEN
        CREATE ROLE {APP_ROLE} NOLOGIN NOBYPASSRLS;
    END IF;
EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL;  -- another database's owner was sooner
END $$;
GRANT {APP_ROLE} TO CURRENT_USER
"""

_TABLES = """
CREATE TABLE footnote.collections (
    key integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name text COLLATE "C" NOT NULL UNIQUE,
    schema integer NOT NULL,
    generation bigint NOT NULL DEFAULT 0,
    edition text NOT NULL DEFAULT '0',
    documents bigint NOT NULL DEFAULT 0,
    chunks bigint NOT NULL DEFAULT 0,
    tokens bigint NOT NULL DEFAULT 0,
    dead bigint NOT NULL DEFAULT 0,
    analysed bigint NOT NULL DEFAULT 0,
    dimensions integer,
    graph boolean NOT NULL DEFAULT false,
    meta jsonb NOT NULL DEFAULT '{}'
);
CREATE SEQUENCE footnote.document_key;
CREATE TABLE footnote.documents (
    collection integer NOT NULL,
    key bigint NOT NULL DEFAULT nextval('footnote.document_key'),
    id text COLLATE "C" NOT NULL, handle bytea NOT NULL, live integer NOT NULL, run text NOT NULL,
    source text NOT NULL, path text NOT NULL, hash text NOT NULL, stamp text NOT NULL,
    title text NOT NULL, date text, media_type text NOT NULL, text text NOT NULL, marks text NOT NULL,
    added text NOT NULL, size integer NOT NULL, pages integer,
    chunks integer NOT NULL, keys bytea NOT NULL, tokens bigint NOT NULL,
    terms text[] COLLATE "C" NOT NULL, postings bytea[] NOT NULL,
    PRIMARY KEY (collection, key)
) PARTITION BY LIST (collection);
CREATE UNIQUE INDEX documents_handle ON footnote.documents (collection, handle, live);
CREATE INDEX documents_staged ON footnote.documents (run) WHERE live = 0;
CREATE TABLE footnote.chunks (
    collection integer NOT NULL,
    key bigint NOT NULL,
    document bigint NOT NULL,
    "start" integer NOT NULL, "end" integer NOT NULL, page integer,
    context text NOT NULL, text text NOT NULL, vector halfvec NOT NULL,
    spans text NOT NULL, sentences bytea NOT NULL,
    PRIMARY KEY (collection, key)
) PARTITION BY LIST (collection);
CREATE INDEX chunks_document ON footnote.chunks (document);
ALTER TABLE footnote.chunks ALTER COLUMN vector SET STORAGE PLAIN;
ALTER TABLE footnote.chunks ALTER COLUMN sentences SET STORAGE EXTERNAL;
CREATE TABLE footnote.words (
    collection integer NOT NULL,
    term text COLLATE "C" NOT NULL,
    part bigint NOT NULL,
    passages bigint NOT NULL,
    postings bytea NOT NULL,
    PRIMARY KEY (collection, term, part)
) PARTITION BY LIST (collection);
ALTER TABLE footnote.words ALTER COLUMN postings SET STORAGE EXTERNAL
"""

_DECLARED = """
CREATE FUNCTION footnote.declared() RETURNS integer LANGUAGE sql STABLE PARALLEL SAFE AS
$$ SELECT NULLIF(pg_catalog.current_setting('footnote.collection', true), '')::integer $$
"""

# Asked for once a statement, not once a row: hence the SELECT.
_POLICIES = f"""
DO $$ DECLARE one text; BEGIN
    FOREACH one IN ARRAY ARRAY['documents', 'chunks', 'words'] LOOP
        EXECUTE format('ALTER TABLE footnote.%I ENABLE ROW LEVEL SECURITY', one);
        EXECUTE format('ALTER TABLE footnote.%I FORCE ROW LEVEL SECURITY', one);
        EXECUTE format('CREATE POLICY declared ON footnote.%I '
            'USING (collection = (SELECT footnote.declared())) '
            'WITH CHECK (collection = (SELECT footnote.declared()))', one);
        EXECUTE format('GRANT SELECT, INSERT, UPDATE, DELETE ON footnote.%I TO {APP_ROLE}', one);
    END LOOP;
END $$;
ALTER TABLE footnote.collections ENABLE ROW LEVEL SECURITY;
CREATE POLICY listed ON footnote.collections FOR SELECT USING (true);
CREATE POLICY declared ON footnote.collections FOR UPDATE USING (key = (SELECT footnote.declared()));
GRANT SELECT, UPDATE ON footnote.collections TO {APP_ROLE};
GRANT USAGE ON SCHEMA footnote TO {APP_ROLE};
GRANT USAGE ON SEQUENCE footnote.document_key TO {APP_ROLE}
"""

# A table that is attached keeps no reader waiting; one that is made as a partition would. What shows
# a collection is its row, written in the same transaction.
_CREATE = f"""
CREATE FUNCTION footnote.create_collection(wanted text, version integer) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE made integer; one text; part text;
BEGIN
    IF wanted !~ '{NAME}' THEN RAISE EXCEPTION 'unfit name'; END IF;
    INSERT INTO footnote.collections (name, schema) VALUES (wanted, version)
        ON CONFLICT (name) DO NOTHING RETURNING key INTO made;
    IF made IS NULL THEN
        SELECT key INTO made FROM footnote.collections WHERE name = wanted;
        RETURN made;
    END IF;
    FOREACH one IN ARRAY ARRAY['documents', 'chunks', 'words'] LOOP
        part := one || '_' || made;
        EXECUTE format('CREATE TABLE footnote.%I (LIKE footnote.%I INCLUDING DEFAULTS '
            'INCLUDING STORAGE, CHECK (collection = %s)) WITH (toast_tuple_target = %s)',
            part, one, made, CASE one WHEN 'words' THEN 2000 ELSE 256 END);
        EXECUTE format('ALTER TABLE footnote.%I ENABLE ROW LEVEL SECURITY', part);
        EXECUTE format('ALTER TABLE footnote.%I FORCE ROW LEVEL SECURITY', part);
        EXECUTE format('ALTER TABLE footnote.%I ATTACH PARTITION footnote.%I FOR VALUES IN (%s)',
            one, part, made);
    END LOOP;
    EXECUTE format('CREATE SEQUENCE footnote.%I MAXVALUE 4294967295', 'chunk_key_' || made);
    EXECUTE format('GRANT USAGE ON SEQUENCE footnote.%I TO {APP_ROLE}', 'chunk_key_' || made);
    RETURN made;
END $$
"""

_DROP = """
CREATE FUNCTION footnote.drop_collection(wanted text) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE made integer;
BEGIN
    DELETE FROM footnote.collections WHERE name = wanted RETURNING key INTO made;
    IF made IS NULL THEN RETURN false; END IF;
    EXECUTE format('DROP TABLE footnote.documents_%s, footnote.chunks_%s, footnote.words_%s',
        made, made, made);
    EXECUTE format('DROP SEQUENCE footnote.chunk_key_%s', made);
    RETURN true;
END $$
"""

_RENAME = f"""
CREATE FUNCTION footnote.rename_collection(old text, wanted text) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF wanted !~ '{NAME}' THEN RAISE EXCEPTION 'unfit name'; END IF;
    UPDATE footnote.collections SET name = wanted WHERE name = old;
END $$
"""

# `enough` is how many live passages a graph is made for; 0 makes one now, of what is staged as well.
# Readers go on while it is made; whoever stages waits. Workers share memory that a container
# may not have (/dev/shm): one that fails for that is made again by one process.
_TEND = """
CREATE FUNCTION footnote.tend(made integer, enough bigint) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = @vector@, pg_catalog, pg_temp AS $$
DECLARE held footnote.collections; there bigint; make text; memory bigint;
BEGIN
    SELECT * INTO held FROM footnote.collections WHERE key = made;
    IF held.key IS NULL OR held.dimensions IS NULL THEN RETURN false; END IF;
    there := held.chunks;
    IF enough = 0 THEN
        SELECT count(*) INTO there FROM footnote.chunks WHERE collection = made;
    END IF;
    IF abs(there - held.analysed) > held.analysed / 10 THEN
        EXECUTE format('ANALYZE footnote.%I, footnote.%I, footnote.%I',
            'documents_' || made, 'chunks_' || made, 'words_' || made);
        UPDATE footnote.collections SET analysed = there WHERE key = made;
    END IF;
    IF held.graph OR there < enough THEN RETURN held.graph; END IF;
    memory := LEAST(2000000, GREATEST(65536, there * (held.dimensions * 2 + 600) / 800));
    PERFORM set_config('maintenance_work_mem', GREATEST(memory,
        (SELECT setting::bigint FROM pg_settings WHERE name = 'maintenance_work_mem'))::text, true);
    make := format('CREATE INDEX %I ON footnote.%I USING hnsw ((vector::halfvec(%s)) halfvec_ip_ops) '
        'WITH (m = 16, ef_construction = 100)',
        'chunks_graph_' || made, 'chunks_' || made, held.dimensions);
    BEGIN
        EXECUTE make;
    EXCEPTION WHEN disk_full OR insufficient_resources OR out_of_memory THEN
        PERFORM set_config('max_parallel_maintenance_workers', '0', true);
        EXECUTE make;
    END;
    UPDATE footnote.collections SET graph = true WHERE key = made;
    RETURN true;
END $$
"""

_FUNCTIONS = (
    "create_collection(text, integer)",
    "drop_collection(text)",
    "rename_collection(text, text)",
    "tend(integer, bigint)",
)
_RIGHTS = ";\n".join(
    f"REVOKE ALL ON FUNCTION footnote.{one} FROM public;\n"
    f"GRANT EXECUTE ON FUNCTION footnote.{one} TO {APP_ROLE}"
    for one in _FUNCTIONS
)

STATEMENTS = (
    _ROLE,
    "CREATE SCHEMA footnote",
    _TABLES,
    _DECLARED,
    _POLICIES,
    _CREATE,
    _DROP,
    _RENAME,
    _TEND,
    _RIGHTS,
)
"""To be run in one transaction by the owner, with `@vector@` as pgvector's schema."""
