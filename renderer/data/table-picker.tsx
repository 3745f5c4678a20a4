import { Text, TextInput, UnstyledButton } from '@mantine/core';
import { IconSearch, IconTableOff } from '@tabler/icons-react';
import type { TableInfo } from '@tidemark/electron/contract/contract';
import { SET_ASIDE_REASONS } from '@tidemark/protocol/trouble';
import { FORMAT } from '@tidemark/status/format';
import { useEffect, useRef, useState } from 'react';
import classes from './data.module.css';

/** The list of tables on this PC, with a search. */
export function TablePicker({
  tables,
  current,
  choose,
}: {
  tables: readonly TableInfo[];
  current: string | null;
  choose: (table: string) => void;
}) {
  const [find, setFind] = useState('');
  const shown = useRef<HTMLButtonElement>(null);
  // biome-ignore lint/correctness/useExhaustiveDependencies: a change of `current` triggers it
  useEffect(() => shown.current?.scrollIntoView?.({ block: 'nearest' }), [current]);
  const wanted = find.trim().toLowerCase();
  const matches = tables.filter(({ name }) => name.toLowerCase().includes(wanted));
  return (
    <nav className={classes.picker} aria-label="Tables">
      <TextInput
        size="xs"
        placeholder="Find a table"
        aria-label="Find a table"
        leftSection={<IconSearch size={14} aria-hidden />}
        value={find}
        onChange={(event) => setFind(event.currentTarget.value)}
        onKeyDown={(event) => {
          const [first] = matches;
          if (event.key === 'Enter' && first) choose(first.name);
        }}
      />
      <div className={classes.tables}>
        {matches.map(({ name, rows, setAside }) => (
          <UnstyledButton
            key={name}
            ref={name === current ? shown : undefined}
            className={classes.table}
            aria-current={name === current ? 'true' : undefined}
            title={setAside ? `${name}: ${SET_ASIDE_REASONS[setAside.reason]}` : name}
            onClick={() => choose(name)}
          >
            {setAside && <IconTableOff size={14} className={classes.aside} aria-label="Set aside" />}
            <span className={classes.tableName}>{name}</span>
            <span className={`${classes.count} num`}>{FORMAT.count(rows)}</span>
          </UnstyledButton>
        ))}
        {matches.length === 0 && (
          <Text size="sm" c="dimmed" ta="center" py="md">
            No tables match.
          </Text>
        )}
      </div>
    </nav>
  );
}
