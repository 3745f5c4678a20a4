import { serveBuild } from '../threads/builder-thread.ts';
import { compact } from './compact.ts';
import { COMPACTION_CALLS } from './compaction-calls.ts';

/** A thread that compacts one range of the log and then ends. */
serveBuild(COMPACTION_CALLS, ({ source, file }) => compact(source, file));
