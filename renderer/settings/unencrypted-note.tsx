import { Text } from '@mantine/core';
import { IconLockOpen } from '@tabler/icons-react';
import { isUnencrypted } from '@tidemark/protocol/relay-address';
import classes from './settings.module.css';

/** Warns below the field of an address that the key and the data would cross the network in plain text. */
export function UnencryptedNote({ address }: { address: string }) {
  return (
    <div aria-live="polite" className={classes.note}>
      {isUnencrypted(address) && (
        <div className={classes.noteLine} data-severity="warn" data-testid="unencrypted">
          <IconLockOpen size={16} aria-hidden className={classes.resultIcon} />
          <Text size="sm">
            Not encrypted: others on the network can read the key of this PC and the data. Use an address that begins
            with https://, or ask head office for one.
          </Text>
        </div>
      )}
    </div>
  );
}
