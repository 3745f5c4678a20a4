import { Kbd, Modal, Table } from '@mantine/core';
import { useApp } from '../state/context.tsx';

const KEYS: [keys: string[], does: string][] = [
  [['F5'], 'Sync now'],
  [['Shift', 'F5'], 'Check for changes only'],
  [['Ctrl', 'F5'], 'Verify data'],
  [['Esc'], 'Cancel the sync, or close what is open'],
  [['Ctrl', '1'], 'Sync'],
  [['Ctrl', '2'], 'Activity'],
  [['Ctrl', '3'], 'Settings'],
  [['Ctrl', '+'], 'Zoom in'],
  [['Ctrl', '−'], 'Zoom out'],
  [['Ctrl', '0'], 'Usual size'],
  [['F1'], 'This list'],
];

export function ShortcutsDialog() {
  const opened = useApp((state) => state.dialog === 'shortcuts');
  const open = useApp((state) => state.open);
  return (
    <Modal opened={opened} onClose={() => open(null)} title="Keyboard shortcuts" size="sm">
      <Table verticalSpacing={6}>
        <Table.Tbody>
          {KEYS.map(([keys, does]) => (
            <Table.Tr key={does}>
              <Table.Td>{does}</Table.Td>
              <Table.Td ta="right">
                {keys.map((key, index) => (
                  <span key={key}>
                    {index > 0 && ' + '}
                    <Kbd>{key}</Kbd>
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
