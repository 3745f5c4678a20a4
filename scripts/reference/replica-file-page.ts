import { StatusCode } from '@tidemark/status/status';
import { STATUS_COLUMNS, type StatusColumn } from '@tidemark/table-store/own-tables';
import { generatedFrom, page, table } from './markdown.ts';

/**
 * Generates docs/reference/replica-file.md, which describes the part of a replica's file that other programs read, from
 * the definition of `tidemark_status`.
 */

const TIME = 'ISO 8601 in UTC with milliseconds';

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
  code: `The state of the terminal, as a name that programs can rely on: ${StatusCode.options.map((code) => `\`${code}\``).join(', ')}. A later version may add names.`,
  headline: 'The state as a sentence for people. Its wording may change.',
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
    '`tidemark_status` is the only `tidemark_` table that other programs may rely on. It has one row, which the terminal writes when the first run ends. A transaction that applies a page or a repair also updates `epoch`, `seq` and `committed_at`. The end of each run updates every column. After a fresh copy, the row therefore describes the old data until the run ends.',
    table(['column', 'type', 'meaning'], STATUS_COLUMNS.map(columnRow)),
    'The other `tidemark_` tables belong to the terminal, and their columns may change with any version. [Architecture](../architecture.md#tables-of-a-replica) names them.',
  ]);
}
