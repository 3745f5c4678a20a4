import { IconKey } from '@tabler/icons-react';
import type { Column } from '@tidemark/electron/contract/contract';
import classes from './data.module.css';

/** The head of a column: its name, the master's type, and whether it belongs to the key. */
export function ColumnHead({ column }: { column: Column }) {
  return (
    <span className={classes.head} title={`${column.name} (${column.source})`}>
      <span className={classes.headName}>
        {column.isKey && <IconKey size={12} aria-label="Key" />}
        <span className={classes.headText}>{column.name}</span>
      </span>
      <span className={classes.headType}>{column.source}</span>
    </span>
  );
}
