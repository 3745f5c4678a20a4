import {
  type Alias,
  type Document,
  isAlias,
  isMap,
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
 * Parses YAML and keeps the line of each field for messages. It also finds constants whose text YAML would change, such
 * as `007`, `1e3`, `!x` (a tag) or `>5` (the start of a block). Filters compare texts, so such a constant would not
 * match.
 */

/** Parsed YAML with the line of each field. */
export interface YamlText {
  value: unknown;
  /** Returns the line of a field, or of its nearest enclosing field. Null if neither exists. */
  lineOf(field: PropertyKey[]): number | null;
  /** Returns a message for each constant whose text YAML would change: `007`, `True`, `1e3`, `!x`, `>5`. */
  unclear(isConstant: (field: string[]) => boolean, place: (field: string[]) => string): string[];
}

/** Parses a text. If it is not valid YAML, adds the reasons with their lines to `mistakes` and returns null. */
export function readYaml(text: string, mistakes: string[]): YamlText | null {
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, uniqueKeys: true });
  const line = (node: Node) => lines.linePos(node.range?.[0] ?? 0).line;
  const found = document.errors.map(
    ({ pos, code, message }) =>
      `line ${lines.linePos(pos[0]).line}: ${code === 'MULTIPLE_DOCS' ? 'a second document begins with ---; leave it out' : message.split('\n')[0]}`,
  );
  // The parser only warns about an unknown tag, and then reads the value without it.
  for (const { pos, code } of document.warnings)
    if (code === 'TAG_RESOLVE_FAILED')
      found.push(
        `line ${lines.linePos(pos[0]).line}: ${text.slice(...pos)} is a tag in YAML; write a text that begins with ! in quotes`,
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

/**
 * Converts a document to plain values. If its aliases would expand to too many values, calls `tooMany` and returns
 * undefined.
 */
function valueOfAll(document: Document, tooMany: () => void): unknown {
  try {
    return document.toJS() ?? null;
  } catch (error) {
    // Unresolved aliases have already been reported, so this error means that there are too many.
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
      const field = [...path, pair].flatMap((ancestor) => (isPair(ancestor) ? [String(ancestor.key)] : []));
      // The fields of a map are visited below.
      if (!isConstant(field) || isMap(pair.value)) return;
      for (const node of scalarsOf(pair.value, document)) {
        const correction = correctionFor(node);
        if (correction !== null) found.push(`${place(field)}: ${correction}`);
      }
      return visit.SKIP;
    },
  });
  return found;
}

function scalarsOf(value: unknown, document: Document): unknown[] {
  const named = (item: unknown) => (isAlias(item) ? item.resolve(document) : item);
  const node = named(value);
  return isSeq(node) ? node.items.map(named) : [node];
}

/** Returns the correction for an unquoted value that YAML would change, or null if YAML keeps its text. */
function correctionFor(node: unknown): string | null {
  if (node === null) return 'no value is written; write null for NULL';
  if (!isScalar(node)) return null;
  if (node.type === 'BLOCK_FOLDED' || node.type === 'BLOCK_LITERAL')
    return `${node.type === 'BLOCK_FOLDED' ? '>' : '|'} begins a block of text in YAML; filters compare for equality only. Write the constant in quotes`;
  if (node.tag === '!') return 'a ! alone is a tag in YAML; write a text that begins with ! in quotes';
  if (typeof node.value === 'string')
    return node.type === 'PLAIN' && /^(?:yes|no|on|off)$/i.test(node.value)
      ? `${node.value} without quotes is true or false for some readers of YAML; write true or false, or the text in quotes`
      : null;
  const source = node.source ?? '';
  if (node.value === null) return source === '' ? 'no value is written; write null for NULL' : null;
  const text = String(node.value);
  return source === text ? null : `${source} would be read as ${text}; write it in quotes`;
}
