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

/**
 * Reads YAML and remembers where each field is, so that messages can name the line. It also finds constants that YAML reads
 * as another value than the text shows, such as `007` or `1e3`, because filters compare texts.
 */

/** A YAML text as values, with the line of each field. */
export interface YamlText {
  value: unknown;
  /** The line of a field, or of the nearest field around it; null: there is none. */
  lineOf(field: PropertyKey[]): number | null;
  /** Messages about constants whose value YAML would write otherwise: `007`, `True`, `1e3`. */
  unclear(isConstant: (field: string[]) => boolean, place: (field: string[]) => string): string[];
}

/** Parses a text. Null: it is not valid YAML; the reasons, with lines, were added to `mistakes`. */
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

/** The text as plain values. Undefined: `tooMany` was called, because the values of its aliases would fill memory. */
function valueOfAll(document: Document, tooMany: () => void): unknown {
  try {
    return document.toJS() ?? null;
  } catch (error) {
    // Unresolved aliases were reported before, so only their number is left as a reason.
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

/** What to write when YAML reads an unquoted value as another text; null: it does not. */
function unlike(node: unknown): string | null {
  if (node === null) return 'no value is written; write null for NULL';
  if (!isScalar(node) || typeof node.value === 'string') return null;
  const source = node.source ?? '';
  if (node.value === null) return source === '' ? 'no value is written; write null for NULL' : null;
  const text = String(node.value);
  return source === text ? null : `${source} would be read as ${text}; write it in quotes`;
}
