import { SET_ASIDE_REASONS } from '@tidemark/protocol/trouble';
import { StatusCode } from '@tidemark/status/status';
import {
  STATUS_COLUMNS,
  type StatusColumn,
  TABLE_STATUS_COLUMNS,
  type TableStatusColumn,
} from '@tidemark/table-store/own-tables';
import { generatedFrom, page, table } from './markdown.ts';

/**
 * Generates docs/reference/replica-file.md, which describes the part of a replica's file that other programs read, from
 * the definition of `tidemark_status`.
 */

const TIME = 'ISO 8601 in UTC with milliseconds';

const MAIN_STATES = StatusCode.options.filter((code) => code !== 'log-large');

/** The meaning of each column. A new column of `tidemark_status` does not compile without an entry. */
const MEANINGS: Record<StatusColumn, string> = {
  one: 'Always 1: the table has at most one row.',
  feed: 'Name of the feed.',
  epoch: 'Epoch of the cursor. NULL: the file holds no data yet.',
  seq: 'Seq of the cursor: the last transaction of the feed that the data includes.',
  committed_at:
    'When the master committed the transaction at the cursor, by the clock of the master: ISO 8601 in UTC with microseconds. The data is as of this time. At a master without new commits it stays the same while the data is current.',
  checked_at: `When the relay last answered a status request, by the clock of this PC: ${TIME}. NULL: it has not answered since the program started.`,
  synced_at: `When the last run that reached its target ended, by the clock of this PC: ${TIME}. NULL: no run has.`,
  head_seq: 'The newest seq of the feed at `checked_at`. NULL: not known.',
  waiting: 'How many changes the relay had for this PC that the data does not include yet. NULL: not known.',
  tables_set_aside:
    'How many tables of the file are set aside: they do not follow the master, and keep their last good state ([F17](../protocol.md#f-feed-to-relay)). `tidemark_table_status` names them. NULL: an older version wrote the row.',
  code: `The state of the terminal, as a name that programs can rely on: ${MAIN_STATES.map((code) => `\`${code}\``).join(', ')}. A later version may add names.`,
  headline: 'The state as a sentence for people. Its wording may change.',
};

/** The meaning of each column of `tidemark_table_status`. */
const TABLE_MEANINGS: Record<TableStatusColumn, string> = {
  name: 'Name of the table.',
  rows: 'Number of its rows.',
  set_aside: '1: the table is set aside. 0: it follows the master.',
  reason: `Why it is set aside: ${Object.keys(SET_ASIDE_REASONS)
    .map((reason) => `\`${reason}\``)
    .join(', ')}. NULL: it follows the master. A later version may add reasons.`,
  as_of:
    'When the master committed the last transaction that its rows contain: ISO 8601 in UTC with microseconds. NULL: it follows the master, and `committed_at` of `tidemark_status` applies.',
};

const columnRow = (definition: `${StatusColumn} ${string}`): string[] => {
  const [name, type = ''] = definition.split(' ') as [StatusColumn, string];
  return [`\`${name}\``, type, MEANINGS[name]];
};

/** Returns the text of the page. */
export function replicaFilePage(): string {
  return page('The file of a branch PC', [
    'The file is a SQLite database in WAL mode. It holds the tables of the feed, with the names, columns and primary keys of the master ([types](../types.md)), and tables whose names begin with `tidemark_`. Only the terminal writes either kind. Another program may keep tables and views of its own in the file under other names ([T1](../protocol.md#t-the-terminals-file)).',
    generatedFrom('`table-store/own-tables.ts`'),
    '## tidemark_status',
    'Other programs may rely on the table `tidemark_status` and the view `tidemark_table_status`. `tidemark_status` has one row, which the first copy writes. The columns `epoch`, `seq`, `committed_at` and `tables_set_aside` describe the data. They change in the same transaction as the data: with a page, a repair or a fresh copy. The other columns describe the terminal. They change when a run ends, when an attempt fails, and at most every 5 seconds when the relay answers a terminal that follows it. A change that follows from time alone, such as an answer that is no longer fresh, appears within 30 seconds. They are NULL until the first run has ended. They stay unchanged while no terminal runs, so read `code` together with `checked_at`.',
    table(['column', 'type', 'meaning'], STATUS_COLUMNS.map(columnRow)),
    '## tidemark_table_status',
    'The view has one row for each table of the feed. It changes in the same transaction as the data.',
    table(
      ['column', 'meaning'],
      TABLE_STATUS_COLUMNS.map((name) => [`\`${name}\``, TABLE_MEANINGS[name]]),
    ),
    'This query names the tables of a report that are not current:',
    '```sql\nSELECT name, reason, as_of FROM tidemark_table_status WHERE set_aside;\n```',
    'The other `tidemark_` tables belong to the terminal, and their columns may change with any version. [Architecture](../architecture.md#tables-of-a-replica) names them.',
  ]);
}
