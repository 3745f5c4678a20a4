import { z } from 'zod';

interface ErrorInfo {
  /** HTTP status when the relay answers with it. */
  status: number;
  /** Whether trying again, unchanged, can help. */
  retry: boolean;
  /** What it means, in a sentence that a branch clerk can act on. `{name}` is filled from the error's params, see {@link fill}. */
  means: string;
  /** What to do. */
  todo: string;
}

const info = (status: number, retry: boolean, means: string, todo: string): ErrorInfo => ({
  status,
  retry,
  means,
  todo,
});

/** Every error that Tidemark can show, by its stable code. The relay (problem+json), the commands and the app take their words from here. */
export const ERRORS = {
  usage: info(400, false, 'The command was called in a way it does not know: {detail}.', 'Run it with --help.'),
  config_invalid: info(
    500,
    false,
    'The configuration is not valid: {detail}.',
    'Correct the named fields and start again.',
  ),
  node_too_old: info(500, false, 'This program needs Node.js 24 or newer; this is {version}.', 'Install Node.js 24.'),
  request_invalid: info(400, false, 'The request is not valid: {detail}.', 'Correct the named field.'),
  not_found: info(404, false, 'There is nothing at this address.', 'Check the relay address.'),
  token_invalid: info(
    401,
    false,
    "The relay does not accept this PC's key. Local data is safe.",
    'Ask your administrator for a new key.',
  ),
  role_denied: info(
    403,
    false,
    'This key is of another role than the request needs ({need}).',
    'Use a key of the role that is named.',
  ),
  feed_denied: info(
    403,
    false,
    'This key is not for the feed {feed}.',
    'Ask your administrator for a key for this feed.',
  ),
  scope_denied: info(403, false, 'This PC may not read this data.', 'Ask your administrator.'),
  feed_unknown: info(404, false, 'The relay has no feed named {feed}.', 'Check the name of the feed.'),
  feed_empty: info(
    503,
    true,
    'The relay has no data yet: head office has not sent its first copy.',
    'Wait until the feed has sent its base.',
  ),
  protocol_unsupported: info(
    426,
    false,
    'The relay and this program speak different versions.',
    'Update the older of the two.',
  ),
  epoch_changed: info(
    409,
    false,
    'The history at the relay began anew. A fresh copy is needed.',
    'Download a fresh copy.',
  ),
  cursor_ahead: info(
    409,
    false,
    'This PC is ahead of the relay, which was probably restored from a backup.',
    'Verify the data or download a fresh copy.',
  ),
  behind_horizon: info(
    410,
    false,
    'This PC was away too long: the changes it lacks are no longer kept. A fresh copy is needed.',
    'Download a fresh copy.',
  ),
  target_invalid: info(
    400,
    false,
    'The transaction asked for ({target}) does not exist yet.',
    'Choose one that is not newer than the head.',
  ),
  scopes_changed: info(
    409,
    false,
    "This PC's share of the data was changed at head office.",
    'Sync: what differs is fetched by itself.',
  ),
  filter_invalid: info(
    409,
    true,
    'The relay cannot tell which branch a row belongs to: {detail}.',
    'Correct relay.yaml, or the table, and start the relay again; the feed goes on by itself.',
  ),
  squash_building: info(503, true, 'The relay is preparing the changes.', 'Wait: this goes on by itself.'),
  squash_larger: info(409, false, 'The changes are not fewer when each row comes once.', 'Ask for the ordinary pages.'),
  replica_altered: info(
    409,
    true,
    'Another program changed the table {table} here: {detail}. It is repaired by itself.',
    'Nothing; let other programs only read.',
  ),
  replica_differs: info(
    409,
    false,
    'Data here differs from the relay: {rows:row} in {tables}.',
    'Run verify without --no-repair: just those rows are fetched.',
  ),
  replica_empty: info(409, false, 'There is no data here yet, so nothing to compare.', 'Sync first.'),
  snapshot_building: info(503, true, 'The relay is preparing the copy.', 'Wait: this goes on by itself.'),
  snapshot_gone: info(404, true, 'The copy was replaced by a newer one.', 'Ask for the newer one.'),
  snapshot_corrupt: info(502, true, 'The downloaded copy was damaged on the way. Nothing was changed.', 'Try again.'),
  page_corrupt: info(502, true, 'Data arrived damaged and was not used. Nothing was lost.', 'Try again.'),
  page_out_of_order: info(502, true, 'The relay sent a page that is not the next one. It was not used.', 'Try again.'),
  page_other_epoch: info(
    409,
    false,
    'The relay sent a page of another history. It was not used.',
    'Check for changes again.',
  ),
  page_invalid: info(
    502,
    false,
    'The relay sent data that this version does not understand: {detail}. It was not used.',
    'Update this program; tell your administrator.',
  ),
  schema_mismatch: info(
    500,
    false,
    'The table {table} here differs from what the relay expects: {detail}.',
    'Download a fresh copy.',
  ),
  name_clash: info(
    409,
    false,
    'Another program made a table or view named {table} in this database. It was not touched.',
    'Rename it, then sync again.',
  ),
  relay_unreachable: info(
    502,
    true,
    'The relay at {relay} cannot be reached ({detail}). Local data is safe.',
    'Check the network; it is tried again by itself.',
  ),
  relay_timeout: info(
    504,
    true,
    'The relay at {relay} did not answer in time. Local data is safe.',
    'It is tried again by itself.',
  ),
  relay_not_tidemark: info(
    502,
    true,
    'Something else answered instead of the relay at {relay}, such as a proxy or a sign-in page. Local data is safe.',
    'Check the relay address and the network settings.',
  ),
  relay_failed: info(
    502,
    true,
    'The relay had a fault (HTTP {status}). Local data is safe.',
    'Try again later; tell your administrator if it stays.',
  ),
  relay_busy: info(503, true, 'The relay is busy and asked to wait.', 'It is tried again by itself.'),
  relay_cert: info(
    502,
    false,
    "The relay's identity could not be verified ({detail}). Nothing was sent.",
    'Ask your administrator about the certificate.',
  ),
  disk_full: info(
    507,
    true,
    'There is not enough disk space ({detail}). Nothing was lost.',
    'Free some space and try again.',
  ),
  db_in_use: info(409, true, 'Another program is writing to the local database {file}.', 'Close the other program.'),
  db_is_directory: info(400, false, 'The database {file} is a folder.', 'Name a file.'),
  db_not_sqlite: info(
    400,
    false,
    'The file {file} is not a SQLite database. It was not touched.',
    'Name another file, or remove this one.',
  ),
  db_read_only: info(
    400,
    false,
    'The database {file} cannot be written to.',
    'Check the rights on the file and its folder.',
  ),
  db_newer_version: info(
    400,
    false,
    'The database {file} was written by a newer version of this program ({found}; this one knows {known}).',
    'Update this program.',
  ),
  db_damaged: info(
    500,
    false,
    'The local database {file} is damaged: {detail}.',
    'Download a fresh copy, or restore a backup.',
  ),
  db_other_feed: info(
    409,
    false,
    'The database {file} holds the feed {found}, not {expected}.',
    'Name another file or another feed.',
  ),
  db_unavailable: info(
    400,
    false,
    'The database {file} cannot be opened: {detail}.',
    'Check the path and the rights on it.',
  ),
  source_unreachable: info(
    502,
    true,
    'The master cannot be reached: {detail}.',
    'Check the address, and that the server runs.',
  ),
  source_denied: info(403, false, 'The master refused the sign-in: {detail}.', 'Check user, password and pg_hba.conf.'),
  source_not_ready: info(500, false, 'The master is not ready:\n{detail}', 'Do what each line says.'),
  source_lost: info(502, true, 'The connection to the master was lost: {detail}.', 'It is tried again by itself.'),
  source_unsupported: info(
    500,
    false,
    'The master sent something this version cannot follow: {detail}.',
    'See the documentation for what to do.',
  ),
  slot_in_use: info(409, true, 'Another feed is reading the slot {slot}.', 'Stop the other feed.'),
  session_superseded: info(409, false, 'Another feed took over this feed.', 'Run one feed process per feed.'),
  session_unknown: info(
    409,
    true,
    'The relay does not know this session (it was restarted).',
    'It is opened anew by itself.',
  ),
  batch_out_of_order: info(
    409,
    true,
    'A batch arrived out of its order ({detail}).',
    'The session is opened anew by itself.',
  ),
  batch_corrupt: info(400, true, 'A batch arrived damaged and was not used.', 'It is sent again by itself.'),
  batch_invalid: info(
    400,
    false,
    'A batch holds a line that is not valid: {detail}. It was not used.',
    'Report it: feed and relay do not fit together.',
  ),
  body_too_large: info(413, false, 'The request is larger than {limit} bytes.', 'Send less at a time.'),
  settings_invalid: info(400, false, 'A setting is not valid: {detail}.', 'Correct the named field.'),
  not_configured: info(400, false, 'This PC is not set up yet.', 'Enter the relay address and the key.'),
  cancelled: info(499, false, 'It was cancelled. What was saved stays.', 'Start it again when you like.'),
  agent_down: info(
    500,
    true,
    'The sync engine stopped unexpectedly. Your data is safe.',
    'It is started again by itself.',
  ),
  forbidden_sender: info(403, false, 'A page that is not ours tried to call the application.', 'Report it.'),
  internal: info(500, true, 'A fault in the program: {detail}.', 'Tell your administrator; the log says more.'),
} as const satisfies Record<string, ErrorInfo>;

export type ErrorCode = keyof typeof ERRORS;
export const ErrorCode = z.enum(Object.keys(ERRORS) as [ErrorCode, ...ErrorCode[]]);

export type ErrorParams = Record<string, string | number>;

const NUMBERS = new Intl.NumberFormat('en-GB');

/** Fills the `{name}` places of a sentence. `{rows:row}` becomes `1 row` or `1,204 rows`. */
export function fill(sentence: string, params: ErrorParams): string {
  return sentence.replace(/\{(\w+)(?::(\w+))?\}/g, (_, name: string, noun?: string) => {
    const value = params[name] ?? '?';
    if (noun === undefined || typeof value !== 'number') return String(value);
    return `${NUMBERS.format(value)} ${noun}${value === 1 ? '' : 's'}`;
  });
}

/** An error with a stable code. `params` fill the sentence and must hold no secret. */
export class TidemarkError extends Error {
  override readonly name = 'TidemarkError';
  readonly code: ErrorCode;
  readonly params: ErrorParams;

  constructor(code: ErrorCode, params: ErrorParams = {}, cause?: unknown) {
    super(fill(ERRORS[code].means, params), cause === undefined ? undefined : { cause });
    this.code = code;
    this.params = params;
  }

  get retry(): boolean {
    return ERRORS[this.code].retry;
  }
}

/** Any thrown thing as a TidemarkError; what is not one becomes `internal` with its message. */
export function asTidemarkError(thrown: unknown): TidemarkError {
  if (thrown instanceof TidemarkError) return thrown;
  const detail = thrown instanceof Error ? thrown.message : String(thrown);
  return new TidemarkError('internal', { detail }, thrown);
}

/** RFC 9457 body (application/problem+json). */
export const Problem = z.object({
  type: z.string(),
  title: z.string(),
  status: z.int(),
  code: ErrorCode,
  /** What to do. */
  todo: z.string(),
  retry: z.boolean(),
  params: z.record(z.string(), z.union([z.string(), z.number()])),
  requestId: z.string().optional(),
});
export type Problem = z.infer<typeof Problem>;

/** The problem+json body of an error. */
export function toProblem(error: TidemarkError, requestId?: string): Problem {
  const { status, todo, retry } = ERRORS[error.code];
  return {
    type: `urn:tidemark:error:${error.code}`,
    title: error.message,
    status,
    code: error.code,
    todo,
    retry,
    params: error.params,
    ...(requestId === undefined ? {} : { requestId }),
  };
}
