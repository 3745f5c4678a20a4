import { z } from 'zod';

/**
 * The closed list of errors, with their sentences. It is private to the package: errors.ts exports it.
 *
 * A sentence names the event and the data that is safe, in words for a branch clerk: "sync server" for the relay, "data
 * set" for the feed. Errors that only an operator sees (`source_*`, `batch_*`, `session_*`) use the operator's words.
 * Codes, HTTP statuses and `retry` are part of the wire. Sentences are not, and no program may read them.
 * See docs/decisions/2026-11-25-error-sentences-in-protocol.md.
 */

interface ErrorInfo {
  /** HTTP status of the relay's answer with this error. */
  status: number;
  /** Whether the same request can succeed later, unchanged. */
  retry: boolean;
  /** The event, and the data that is safe. {@link fill} replaces `{name}` with a param of the error. */
  means: string;
  /** The remedy. It has no params. */
  todo: string;
}

const info = (status: number, retry: boolean, means: string, todo: string): ErrorInfo => ({
  status,
  retry,
  means,
  todo,
});

/** Every error by its code. `npm run docs` writes docs/errors.md from this table. */
export const ERRORS = {
  usage: info(
    400,
    false,
    'The command line is not valid: {detail}.',
    'Run the command with --help to see its options.',
  ),
  config_invalid: info(
    500,
    false,
    'The configuration is not valid: {detail}.',
    'Correct the named fields, then start again.',
  ),
  node_too_old: info(500, false, 'This program needs Node.js 24 or newer; this is {version}.', 'Install Node.js 24.'),
  request_invalid: info(400, false, 'The request is not valid: {detail}.', 'Correct the named field.'),
  not_found: info(404, false, 'There is nothing at this address.', 'Check the address of the sync server.'),
  token_invalid: info(
    401,
    false,
    'The sync server does not accept the key. Local data is safe.',
    'Ask your administrator for a new key.',
  ),
  role_denied: info(
    403,
    false,
    'This key does not have the role {need}, which the request needs.',
    'Use a key with that role.',
  ),
  feed_denied: info(
    403,
    false,
    'This key does not give access to the data set {feed}.',
    'Ask your administrator for a key for this data set.',
  ),
  scope_denied: info(
    403,
    false,
    'This PC may not read this data.',
    'Ask your administrator to check the data selection of this PC.',
  ),
  feed_unknown: info(404, false, 'The sync server has no data set named {feed}.', 'Check the name of the data set.'),
  feed_empty: info(
    503,
    true,
    'The sync server has no data yet: head office has not sent its first copy.',
    'Wait until head office has sent its first copy.',
  ),
  protocol_unsupported: info(
    426,
    false,
    'The sync server and this program use different versions of the protocol.',
    'Update the older of the two.',
  ),
  epoch_changed: info(
    409,
    false,
    'The history of the sync server was reset. This PC needs a fresh copy.',
    'Download a fresh copy.',
  ),
  epoch_unstable: info(
    502,
    true,
    'The history of the sync server changed again after this PC had taken a fresh copy. Local data is safe.',
    'Ask your administrator to check that only one sync server answers at this address.',
  ),
  cursor_ahead: info(
    409,
    false,
    'This PC has newer data than the sync server, which was probably restored from a backup.',
    'Verify the data, or download a fresh copy.',
  ),
  behind_horizon: info(
    410,
    false,
    'This PC was away too long: the sync server no longer keeps all the changes that are waiting. This PC needs a fresh copy.',
    'Download a fresh copy.',
  ),
  target_invalid: info(
    400,
    false,
    'Transaction {target} does not exist yet.',
    'Choose a transaction that is not newer than the newest one.',
  ),
  scopes_changed: info(
    409,
    false,
    'Head office changed the data selection of this PC.',
    'Sync: only the rows that differ are downloaded.',
  ),
  filter_invalid: info(
    409,
    true,
    'The sync server cannot determine which branch a row belongs to: {detail}.',
    'Correct relay.yaml or the table, then restart the relay; the feed resumes automatically.',
  ),
  squash_building: info(
    503,
    true,
    'The sync server is preparing the changes.',
    'Wait; the sync continues automatically.',
  ),
  squash_larger: info(
    409,
    false,
    'Compacting these changes would not make them smaller.',
    'Request the ordinary pages.',
  ),
  replica_altered: info(
    409,
    true,
    'Another program changed the table {table} on this PC: {detail}. The next sync repairs it.',
    'No action is needed. Let other programs only read.',
  ),
  replica_differs: info(
    409,
    false,
    'Data on this PC differs from the sync server: {rows:row} in {tables}.',
    'Run verify without --no-repair to download only those rows.',
  ),
  replica_empty: info(409, false, 'There is no data on this PC yet, so there is nothing to compare.', 'Sync first.'),
  snapshot_building: info(
    503,
    true,
    'The sync server is preparing the fresh copy.',
    'Wait; the sync continues automatically.',
  ),
  snapshot_gone: info(
    404,
    true,
    'The sync server replaced the fresh copy with a newer one.',
    'Download the newer copy.',
  ),
  snapshot_corrupt: info(
    502,
    true,
    'The fresh copy was damaged during the download and was discarded. Local data is safe.',
    'Try again.',
  ),
  page_corrupt: info(502, true, 'Data arrived damaged and was discarded. Nothing was lost.', 'Try again.'),
  page_out_of_order: info(502, true, 'The sync server sent changes out of order. They were discarded.', 'Try again.'),
  page_other_epoch: info(
    409,
    false,
    'The sync server sent changes of another history. They were discarded.',
    'Check for changes again.',
  ),
  page_invalid: info(
    502,
    false,
    'The sync server sent data that this version cannot read: {detail}. It was discarded.',
    'Update this program, or ask your administrator.',
  ),
  schema_mismatch: info(
    500,
    false,
    'The table {table} on this PC does not match the sync server: {detail}.',
    'Download a fresh copy.',
  ),
  name_clash: info(
    409,
    false,
    'Another program created a table or view named {table} in this database. It was not changed.',
    'Rename that table or view, then sync again.',
  ),
  relay_unreachable: info(
    502,
    true,
    'The sync server at {relay} cannot be reached ({detail}). Local data is safe.',
    'Check the network connection, then try again.',
  ),
  relay_timeout: info(
    504,
    true,
    'The sync server at {relay} did not answer in time. Local data is safe.',
    'Try again. If this happens often, check the network connection.',
  ),
  relay_not_tidemark: info(
    502,
    true,
    'Something else answered instead of the sync server at {relay}, such as a proxy or a sign-in page. Local data is safe.',
    'Check the address of the sync server and the network settings.',
  ),
  relay_failed: info(
    502,
    true,
    'The sync server failed (HTTP {status}). Local data is safe.',
    'Try again later. If the failure persists, ask your administrator.',
  ),
  relay_busy: info(503, true, 'The sync server is busy and asked this PC to wait.', 'Wait, then try again.'),
  relay_no_progress: info(
    502,
    true,
    'The sync server repeated an answer that does not continue the sync. It was discarded. Local data is safe.',
    'Try again. If this happens again, ask your administrator to check the sync server.',
  ),
  relay_cert: info(
    502,
    false,
    'The identity of the sync server could not be verified ({detail}). Nothing was sent.',
    'Ask your administrator to check the certificate.',
  ),
  disk_full: info(
    507,
    true,
    'There is not enough disk space ({detail}). Nothing was lost.',
    'Free some disk space, then try again.',
  ),
  db_in_use: info(
    409,
    true,
    'Another program keeps the local database {file} in use.',
    'Close the other program, or let it end its transaction.',
  ),
  db_is_directory: info(400, false, 'The database {file} is a folder.', 'Name a file.'),
  db_not_sqlite: info(
    400,
    false,
    'The file {file} is not a SQLite database. It was not changed.',
    'Name another file, or remove this one.',
  ),
  db_read_only: info(
    400,
    false,
    'The database {file} cannot be written.',
    'Check the permissions of the file and its folder.',
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
    'The local database {file} is damaged. Detail: {detail}.',
    'Download a fresh copy, or restore a backup.',
  ),
  db_other_feed: info(
    409,
    false,
    'The database {file} holds the data set {found}, not {expected}.',
    'Name another file or another data set.',
  ),
  db_unavailable: info(
    400,
    false,
    'The database {file} cannot be used: {detail}.',
    'Check the path, its permissions and the disk.',
  ),
  source_unreachable: info(
    502,
    true,
    'The master cannot be reached: {detail}.',
    'Check the address, and that the database server is running.',
  ),
  source_denied: info(
    403,
    false,
    'The master refused the sign-in: {detail}.',
    'Check the user, the password and pg_hba.conf.',
  ),
  source_not_ready: info(500, false, 'The master is not ready:\n{detail}', 'Follow the instruction on each line.'),
  source_lost: info(
    502,
    true,
    'The connection to the master was lost: {detail}.',
    'The feed reconnects automatically.',
  ),
  source_unsupported: info(
    500,
    false,
    'The master sent a change that this version cannot process: {detail}.',
    'See docs/operation.md.',
  ),
  slot_in_use: info(409, true, 'Another feed is reading the replication slot {slot}.', 'Stop the other feed.'),
  session_superseded: info(409, false, 'Another process took over this feed.', 'Run one process per feed.'),
  session_unknown: info(
    409,
    true,
    'The relay does not know this session, because it was restarted.',
    'The feed opens a new session automatically.',
  ),
  batch_out_of_order: info(
    409,
    true,
    'A batch arrived out of order ({detail}).',
    'The feed opens a new session automatically.',
  ),
  batch_corrupt: info(
    400,
    true,
    'A batch arrived damaged and was discarded.',
    'The feed sends it again automatically.',
  ),
  batch_invalid: info(
    400,
    false,
    'A batch contains an invalid line: {detail}. The batch was discarded.',
    'Report this: the feed and the relay are incompatible.',
  ),
  body_too_large: info(413, false, 'The request is larger than {limit} bytes.', 'Send a smaller request.'),
  settings_invalid: info(400, false, 'A setting is not valid: {detail}.', 'Correct the named field.'),
  not_configured: info(400, false, 'This PC is not set up yet.', 'Enter the address of the sync server and the key.'),
  cancelled: info(
    499,
    false,
    'The run was cancelled. Changes that were saved are kept.',
    'Start it again at any time.',
  ),
  table_unknown: info(
    404,
    false,
    'There is no table {table} on this PC.',
    'Choose another table. A table that was renamed appears under its new name after a sync.',
  ),
  row_gone: info(404, false, 'This row of {table} no longer exists. Local data is safe.', 'Close the row.'),
  query_timeout: info(
    504,
    true,
    'Reading the data took longer than {seconds} seconds and was stopped. Local data is safe.',
    'Remove the sorting, or add a filter on the first column of the key.',
  ),
  query_cancelled: info(
    499,
    false,
    'Reading the data was cancelled. Local data is safe.',
    'Start it again at any time.',
  ),
  file_not_writable: info(
    400,
    false,
    'The file {file} cannot be written: {detail}. Nothing was exported.',
    'Choose another folder or another name.',
  ),
  reader_down: info(
    500,
    true,
    'The part of the app that reads data stopped unexpectedly. Local data is safe.',
    'Try again.',
  ),
  agent_down: info(500, true, 'The sync engine stopped unexpectedly. Your data is safe.', 'It restarts automatically.'),
  forbidden_sender: info(
    403,
    false,
    'A page from outside the application tried to call it and was refused.',
    'Report this to your administrator.',
  ),
  internal: info(
    500,
    true,
    'The program failed unexpectedly. Detail: {detail}.',
    'Try again. If the failure persists, send the log to your administrator.',
  ),
} as const satisfies Record<string, ErrorInfo>;

export type ErrorCode = keyof typeof ERRORS;
export const ErrorCode = z.enum(Object.keys(ERRORS) as [ErrorCode, ...ErrorCode[]]);
