import { contextBridge } from 'electron';
import { bridge } from '../ipc/preload-ipc.ts';

contextBridge.exposeInMainWorld('tidemark', bridge);
