import { safeStorage } from 'electron';
import type { SealedToken } from './settings-file.ts';

/** Keeps the relay's key by the operating system's key store, where there is one. */
export interface TokenStore {
  seal(token: string): Promise<SealedToken>;
  /** Throws when the key store does not give it back: another user, another machine, or the store is locked. */
  open(sealed: SealedToken): Promise<string>;
}

/** After the app is ready. Newer Electrons have an asynchronous key store and will drop the other. */
export function electronTokenStore(): TokenStore {
  const asynchronous = 'encryptStringAsync' in safeStorage;
  const available = async () => {
    // Without a key store Linux offers 'basic_text', which anyone can undo: no better than the file's rights, so say so.
    if (process.platform === 'linux' && ['basic_text', 'unknown'].includes(safeStorage.getSelectedStorageBackend()))
      return false;
    return asynchronous ? safeStorage.isAsyncEncryptionAvailable() : safeStorage.isEncryptionAvailable();
  };
  return {
    async seal(token) {
      if (!(await available())) return { store: 'file', value: token };
      const bytes = asynchronous ? await safeStorage.encryptStringAsync(token) : safeStorage.encryptString(token);
      return { store: 'os', value: bytes.toString('base64') };
    },
    async open({ store, value }) {
      if (store === 'file') return value;
      const bytes = Buffer.from(value, 'base64');
      return asynchronous ? (await safeStorage.decryptStringAsync(bytes)).result : safeStorage.decryptString(bytes);
    },
  };
}
