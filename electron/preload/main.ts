import { contextBridge } from 'electron';
import { bridge } from '../ipc/preload-ipc.ts';

/**
 * The preload script: exposes the bridge to the page, and nothing else. It must stay one file, because a sandboxed
 * preload cannot load a second.
 */

contextBridge.exposeInMainWorld('tidemark', bridge);
