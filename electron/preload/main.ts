import { contextBridge } from 'electron';
import { bridge } from '../ipc/preload-ipc.ts';

/**
 * The preload script. It exposes only the bridge to the page. It must remain one file, because a sandboxed preload
 * script cannot load a second one.
 */

contextBridge.exposeInMainWorld('tidemark', bridge);
