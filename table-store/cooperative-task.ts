/** Work in steps: yields how many rows it has read, or changes it has made, since it last did, so that the caller may do other things between. */
export type CooperativeTask<T> = Generator<number, T, void>;

/** Does the work at once. */
export function runToCompletion<T>(steps: CooperativeTask<T>): T {
  for (;;) {
    const step = steps.next();
    if (step.done) return step.value;
  }
}

/** Does the work with turns for others between its steps. `step` is told how many rows or changes it were; it may throw to end it. */
export async function runCooperatively<T>(steps: CooperativeTask<T>, step: (rows: number) => void): Promise<T> {
  try {
    for (;;) {
      const { done, value } = steps.next();
      if (done) return value;
      await new Promise((resolve) => setImmediate(resolve));
      step(value);
    }
  } finally {
    // Whatever it holds is let go of.
    steps.return(undefined as T);
  }
}
