import { safeStorage } from 'electron';
import type { SealedToken } from './settings-file.ts';

/** Encrypts the relay's key with the operating system's key store, where there is one. */
export interface TokenStore {
  /** Returns the key in the form in which it is stored. */
  seal(token: string): Promise<SealedToken>;
  /** Throws when the key store does not return the key: another user, another computer, or a locked store. */
  open(sealed: SealedToken): Promise<string>;
}

/** Electron's key store. Call after the app is ready. Newer versions have an asynchronous one and will drop the other. */
export function electronTokenStore(): TokenStore {
  const asynchronous = 'encryptStringAsync' in safeStorage;
  const available = async () => {
    // Without a key store, Linux offers 'basic_text', which anyone can decrypt. It must not pass for encryption.
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
