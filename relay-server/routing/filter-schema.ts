import { z } from 'zod';
import type { Filters } from './filters.ts';

/** Schema of the {@link Filters} that the relay sends to its threads. */
const Condition = z.union([
  z.object({ column: z.string(), at: z.string(), attribute: z.string() }),
  z.object({ column: z.string(), at: z.string(), values: z.array(z.string().nullable()) }),
]);
const Columns = z.object({ names: z.array(z.string()), at: z.string() });

/** Schema of a filter in the relay's database. */
export const StoredFilter = z.object({
  where: z.array(Condition),
  columns: Columns.nullable(),
  indexes: z.array(Columns),
});

export const FiltersSchema = z.record(
  z.string(),
  StoredFilter.extend({ previous: StoredFilter.optional() }),
) satisfies z.ZodType<Filters>;
