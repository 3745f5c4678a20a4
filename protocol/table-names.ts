/**
 * Compares table names with names of relay.yaml in which `*` matches any text. Relay and feed must agree on it: the
 * relay refuses a filter for a table that the feed leaves out.
 */

/** Reports whether `name` of relay.yaml matches the table. */
export function isNamed(table: string, name: string): boolean {
  const [first = '', ...rest] = name.split('*');
  const last = rest.pop();
  if (last === undefined) return table === name;
  if (!table.startsWith(first)) return false;
  let at = first.length;
  for (const part of rest) {
    const found = table.indexOf(part, at);
    if (found < 0) return false;
    at = found + part.length;
  }
  return table.length - last.length >= at && table.endsWith(last);
}
