import { serveBuild } from '../threads/builder-thread.ts';
import { compact } from './compact.ts';
import { COMPACTION_CALLS } from './compaction-calls.ts';

/** The thread that compacts one range of the log, and ends. */
serveBuild(COMPACTION_CALLS, ({ source, file }) => compact(source, file));
