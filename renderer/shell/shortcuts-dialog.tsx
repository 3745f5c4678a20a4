import { Kbd, Modal, Table } from '@mantine/core';
import { SCREENS } from '@tidemark/electron/contract/screens';
import { keyCaps, SHORTCUTS, type Shortcut } from '@tidemark/electron/contract/shortcuts';
import { useApp } from '../state/context.tsx';
import classes from './shell.module.css';

const { sync, check, verify, cancel, ...others } = SHORTCUTS;
const LIST: readonly Shortcut[] = [sync, check, verify, cancel, ...SCREENS, ...Object.values(others)];

/** The dialog that lists every keyboard shortcut. */
export function ShortcutsDialog() {
  const opened = useApp((state) => state.dialog === 'shortcuts');
  const open = useApp((state) => state.open);
  return (
    <Modal opened={opened} onClose={() => open(null)} title="Keyboard shortcuts" size="sm">
      <Table verticalSpacing={6}>
        <Table.Tbody>
          {LIST.map(({ label, accelerator }) => (
            <Table.Tr key={accelerator}>
              <Table.Td>{label}</Table.Td>
              <Table.Td ta="right" className={classes.caps}>
                {keyCaps(accelerator).map((cap, index) => (
                  <span key={cap}>
                    {index > 0 && ' + '}
                    <Kbd>{cap}</Kbd>
                  </span>
                ))}
              </Table.Td>
            </Table.Tr>
          ))}
        </Table.Tbody>
      </Table>
    </Modal>
  );
}
