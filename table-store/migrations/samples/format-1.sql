-- A replica of the feed shop as the release with format 1 wrote it: two tables, one run, one sample, and a page that is spooled.
BEGIN TRANSACTION;
CREATE TABLE tidemark_meta (
  one INTEGER PRIMARY KEY CHECK (one = 1),
  feed TEXT NOT NULL,
  epoch TEXT,
  seq INTEGER NOT NULL DEFAULT 0,
  part INTEGER NOT NULL DEFAULT 0,
  committed_at TEXT,
  scopes TEXT
);
INSERT INTO tidemark_meta VALUES(1,'shop','abcdefgh',2,1,'2026-11-23T08:00:00.000000Z','all');
CREATE TABLE tidemark_spool (n INTEGER PRIMARY KEY, body BLOB NOT NULL);
INSERT INTO tidemark_spool VALUES(1,X'5b2273222c312c7b226e616d65223a226974656d222c22636f6c756d6e73223a5b7b226e616d65223a226964222c2274797065223a22696e7465676572222c22736f75726365223a22626967696e74227d2c7b226e616d65223a226e616d65222c2274797065223a2274657874222c22736f75726365223a2274657874227d2c7b226e616d65223a227072696365222c2274797065223a226e756d65726963222c22736f75726365223a226e756d6572696328382c3229227d5d2c226b6579223a5b226964225d7d5d0a5b2262222c332c22323032362d31312d32335430383a30303a30302e3030303030305a225d0a5b2269222c312c5b5b332c22706c756d222c6e756c6c5d5d5d0a');
CREATE TABLE tidemark_status (
  one INTEGER PRIMARY KEY CHECK (one = 1),
  feed TEXT NOT NULL,
  epoch TEXT,
  seq INTEGER,
  committed_at TEXT,
  checked_at TEXT,
  synced_at TEXT,
  head_seq INTEGER,
  waiting INTEGER,
  code TEXT,
  headline TEXT
);
INSERT INTO tidemark_status VALUES(1,'shop','abcdefgh',2,'2026-11-23T08:00:00.000000Z','2026-11-23T08:00:02.000Z','2026-11-23T08:00:02.000Z',2,0,'current','Up to date');
CREATE TABLE tidemark_run (id TEXT PRIMARY KEY, started_at TEXT NOT NULL, run TEXT NOT NULL);
INSERT INTO tidemark_run VALUES('r1','2026-11-23T08:00:01.000Z','{"id":"r1","startedAt":"2026-11-23T08:00:01.000Z","endedAt":"2026-11-23T08:00:02.000Z","trigger":"manual","mode":"now","outcome":"done","from":null,"to":{"epoch":"abcdefgh","seq":2},"snapshot":"first","inserted":0,"updated":1,"deleted":0,"truncated":0,"tables":[{"name":"item","inserted":0,"updated":1,"deleted":0,"truncated":0}],"bytes":321,"left":0,"retries":0,"fault":null}');
CREATE TABLE tidemark_sample (at INTEGER PRIMARY KEY, waiting INTEGER, lag_ms REAL, source_lag_ms REAL);
INSERT INTO tidemark_sample VALUES(1795420802000,0,120.5,NULL);
CREATE TABLE tidemark_table (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, schema TEXT NOT NULL, rows INTEGER NOT NULL);
INSERT INTO tidemark_table VALUES(1,'item','{"name":"item","columns":[{"name":"id","type":"integer","source":"bigint"},{"name":"name","type":"text","source":"text"},{"name":"price","type":"numeric","source":"numeric(8,2)"}],"key":["id"]}',2);
INSERT INTO tidemark_table VALUES(2,'loose','{"name":"loose","columns":[{"name":"at","type":"text","source":"timestamp"},{"name":"n","type":"real","source":"double precision"}],"key":["at"]}',2);
CREATE TABLE IF NOT EXISTS "item" ("id" INTEGER PRIMARY KEY NOT NULL, "name" TEXT, "price" NUMERIC);
INSERT INTO item VALUES(1,'pear',1.5);
INSERT INTO item VALUES(2,'fig',2.25);
CREATE TABLE IF NOT EXISTS "loose" ("at" TEXT PRIMARY KEY NOT NULL, "n" REAL);
INSERT INTO loose VALUES('now',1.0);
INSERT INTO loose VALUES('then',1.0);
CREATE INDEX tidemark_run_started ON tidemark_run (started_at);
COMMIT;
PRAGMA application_id = 1416193125;
PRAGMA user_version = 1;
