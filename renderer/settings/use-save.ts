import type { SettingsChange } from '@tidemark/electron/contract/settings';
import type { Fault } from '@tidemark/protocol/fault';
import { useCallback, useState } from 'react';
import { faultOf } from '../bridge.ts';
import { useTidemark } from '../state/context.tsx';

/**
 * Saves a change immediately. The app's state then contains the new value. If the app rejects the change, `fault` holds
 * the reason.
 */
export function useSave() {
  const { api } = useTidemark();
  const [fault, setFault] = useState<Fault | null>(null);
  const [saving, setSaving] = useState(false);
  const save = useCallback(
    async (change: SettingsChange): Promise<boolean> => {
      setSaving(true);
      try {
        await api.call('settings.set', change);
        setFault(null);
        return true;
      } catch (thrown) {
        setFault(faultOf(thrown));
        return false;
      } finally {
        setSaving(false);
      }
    },
    [api],
  );
  return { save, saving, fault };
}
