import {
  type Alias,
  type Document,
  isAlias,
  isNode,
  isPair,
  isScalar,
  isSeq,
  LineCounter,
  type Node,
  parseDocument,
  visit,
} from 'yaml';

/** A YAML text as values, with the line of each field. */
export interface YamlText {
  value: unknown;
  /** Where a field, or the nearest field around it, stands; null: nowhere. */
  lineOf(field: PropertyKey[]): number | null;
  /** What is wrong with constants that YAML reads otherwise than they are written: `007`, `True`, `1e3`. */
  unclear(isConstant: (field: string[]) => boolean, place: (field: string[]) => string): string[];
}

/** Reads it; null: it is not YAML, and `mistakes` has got why, with lines. */
export function readYaml(text: string, mistakes: string[]): YamlText | null {
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, uniqueKeys: true });
  const line = (node: Node) => lines.linePos(node.range?.[0] ?? 0).line;
  const found = document.errors.map(
    ({ pos, code, message }) =>
      `line ${lines.linePos(pos[0]).line}: ${code === 'MULTIPLE_DOCS' ? 'a second document begins with ---; leave it out' : message.split('\n')[0]}`,
  );
  const aliases: Alias[] = [];
  visit(document, {
    Alias(_, node) {
      aliases.push(node);
      if (!node.resolve(document)) found.push(`line ${line(node)}: *${node.source}: there is no &${node.source} above`);
    },
  });
  mistakes.push(...found);
  if (found.length > 0) return null;
  const value = valueOfAll(document, () => {
    const [last] = aliases.slice(-1);
    mistakes.push(`line ${last ? line(last) : 1}: too many aliases (*); write out what they stand for`);
  });
  if (value === undefined) return null;
  return {
    value,
    lineOf(field) {
      for (let length = field.length; length > 0; length--) {
        const node = document.getIn(field.slice(0, length), true);
        if (isNode(node) && node.range) return line(node);
      }
      return null;
    },
    unclear: (isConstant, place) => unclear(document, isConstant, place),
  };
}

/** The text as plain values; undefined: `tooMany` was called, for the values that aliases stand for would fill memory. */
function valueOfAll(document: Document, tooMany: () => void): unknown {
  try {
    return document.toJS() ?? null;
  } catch (error) {
    // The one error that is left: aliases that stand for nothing were found before.
    if (!(error instanceof ReferenceError)) throw error;
    tooMany();
    return undefined;
  }
}

function unclear(
  document: Document,
  isConstant: (field: string[]) => boolean,
  place: (field: string[]) => string,
): string[] {
  const found: string[] = [];
  visit(document, {
    Pair(_, pair, path) {
      const field = [...path, pair].flatMap((each) => (isPair(each) ? [String(each.key)] : []));
      if (!isConstant(field)) return;
      for (const node of scalarsOf(pair.value, document)) {
        const said = unlike(node);
        if (said !== null) found.push(`${place(field)}: ${said}`);
      }
      return visit.SKIP;
    },
  });
  return found;
}

function scalarsOf(value: unknown, document: Document): unknown[] {
  const named = (each: unknown) => (isAlias(each) ? each.resolve(document) : each);
  const node = named(value);
  return isSeq(node) ? node.items.map(named) : [node];
}

/** What to do when YAML reads an unquoted value as another text; null: it does not. */
function unlike(node: unknown): string | null {
  if (node === null) return 'no value is written; write null for NULL';
  if (!isScalar(node) || typeof node.value === 'string') return null;
  const source = node.source ?? '';
  if (node.value === null) return source === '' ? 'no value is written; write null for NULL' : null;
  const text = String(node.value);
  return source === text ? null : `${source} would be read as ${text}; write it in quotes`;
}
