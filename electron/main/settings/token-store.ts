import { safeStorage } from 'electron';
import type { SealedToken } from './settings-file.ts';

/** Encrypts the relay's key with the operating system's key store if there is one. */
export interface TokenStore {
  /** Returns the key in its stored form. */
  seal(token: string): Promise<SealedToken>;
  /**
   * Returns the key. Throws if the key store cannot decrypt it: for another user, on another computer, or while it is
   * locked.
   */
  open(sealed: SealedToken): Promise<string>;
}

/**
 * Returns the token store on top of Electron's safeStorage. Call it after the app is ready. It prefers the asynchronous
 * API, which will replace the synchronous one.
 */
export function electronTokenStore(): TokenStore {
  const asynchronous = 'encryptStringAsync' in safeStorage;
  const available = async () => {
    // Without a key store, Linux offers 'basic_text', which anyone can decrypt. The app must not treat it as
    // encryption.
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
