/**
 * Runs long work on one thread and lets other work run in between.
 *
 * A task is a generator. It yields where it can pause, with the number of rows it has read, or changes it has made,
 * since it last yielded. A caller that stops early must call `return()`, so that the task rolls back its transaction
 * and frees its statements; {@link runCooperatively} does.
 */
export type CooperativeTask<T> = Generator<number, T, void>;

/** Runs a task without a pause. */
export function runToCompletion<T>(task: CooperativeTask<T>): T {
  for (;;) {
    const step = task.next();
    if (step.done) return step.value;
  }
}

/**
 * Runs a task and gives the event loop a turn whenever it yields. `onStep` receives the number that the task yielded; if
 * it throws, the task ends and rolls back.
 */
export async function runCooperatively<T>(task: CooperativeTask<T>, onStep: (rows: number) => void): Promise<T> {
  try {
    for (;;) {
      const { done, value } = task.next();
      if (done) return value;
      await new Promise((resolve) => setImmediate(resolve));
      onStep(value);
    }
  } finally {
    task.return(undefined as T);
  }
}
