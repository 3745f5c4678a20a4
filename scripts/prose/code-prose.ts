import { parseSync } from 'vite';

/**
 * Finds the prose in a TypeScript module: its comments, and the strings that are sentences.
 *
 * The result has the same length and line breaks as the module. A space replaces every other character, so that an
 * offset in the result is an offset in the module. The code is never changed or run.
 */

/** One comment or string, with its position in the module. */
export interface Passage {
  start: number;
  end: number;
}

export interface CodeProse {
  /** The module's text with everything except the passages replaced by spaces. */
  blanked: string;
  /** The passages in the module's order. They never overlap. */
  passages: Passage[];
}

interface Node {
  type: string;
  start: number;
  end: number;
  [field: string]: unknown;
}

/** Matches directives to tools, which are not prose. The reason after a directive is. */
const DIRECTIVE = /^(\s*)(biome-ignore [\w/.-]+:|@ts-\S+|@vitest-environment\b.*|\/ <reference.*|#!.*|prose-ok\(.*)/;

/** Matches a string that has three words in a row. Such a string is prose unless it is SQL or code. */
const SENTENCE = /(?:^|[\s(“"'])[A-Za-z][a-z’']*[,:;]? [a-z’']+[,:;]? [\w’'${]+/;
/** Matches a program in a string, such as the script of a child process. */
const CODE = /=> |\bawait \w+[.(]|\bconst \w+ = /;
const SQL =
  /\b(?:SELECT|INSERT (?:OR \w+ )?INTO|UPDATE \S+ SET|DELETE FROM|(?:CREATE|ALTER|DROP) (?:\w+ )?(?:TABLE|INDEX|TRIGGER|VIEW|ROLE|TYPE|DOMAIN|SCHEMA|PUBLICATION|USER|DATABASE)|PRAGMA|ORDER BY|GROUP BY|BEGIN|COMMIT|VALUES|WHERE|FROM|JOIN)\b/g;

/** Finds the prose of one module. A file name with `.tsx` allows JSX. Throws when the module does not parse. */
export function proseOf(file: string, source: string): CodeProse {
  const parsed = parseSync(file, source, { lang: file.endsWith('.tsx') ? 'tsx' : 'ts' });
  const [fault] = parsed.errors;
  if (fault) throw new Error(`${file} does not parse: ${fault.message}`);
  const found: Passage[] = [];
  for (const { type, start, end, value } of parsed.comments) {
    const previous = found.at(-1);
    const joins =
      type === 'Line' && previous !== undefined && /^[\t ]*\n[\t ]*$/.test(source.slice(previous.end, start));
    if (joins && source.startsWith('//', previous.start) && !DIRECTIVE.test(value)) previous.end = end;
    else found.push({ start, end });
  }
  collectStrings(parsed.program as unknown as Node, source, found);
  found.sort((a, b) => a.start - b.start);
  return { blanked: blank(source, found), passages: found };
}

function collectStrings(node: Node, source: string, found: Passage[]): void {
  if (isSentence(node, source)) found.push({ start: node.start, end: node.end });
  // Expressions in a template are replaced together with it. They rarely contain strings.
  if (node.type === 'TemplateLiteral' && isSentence(node, source)) return;
  if (node.type.startsWith('Import') || node.type.startsWith('TS')) {
    if (node.type !== 'TSAsExpression' && node.type !== 'TSSatisfiesExpression' && node.type !== 'TSNonNullExpression')
      return;
  }
  for (const [name, value] of Object.entries(node)) {
    if (name === 'source' && node.type.startsWith('Export')) continue;
    for (const child of Array.isArray(value) ? value : [value])
      if (typeof child === 'object' && child !== null && 'type' in child) collectStrings(child as Node, source, found);
  }
}

function isSentence(node: Node, source: string): boolean {
  const isString = node.type === 'Literal' && typeof node.value === 'string';
  if (!isString && node.type !== 'TemplateLiteral' && node.type !== 'JSXText') return false;
  const quote = node.type === 'JSXText' ? 0 : 1;
  const text = source.slice(node.start + quote, node.end - quote);
  return SENTENCE.test(text) && !CODE.test(text) && !isSql(text);
}

/** A sentence may contain one SQL keyword. SQL begins with a keyword or has several. */
function isSql(text: string): boolean {
  const found = text.match(SQL) ?? [];
  return found.length > 1 || (found[0] !== undefined && text.trimStart().startsWith(found[0]));
}

/** Replaces everything outside the passages, the delimiters of comments and strings, and expressions in templates. */
function blank(source: string, passages: Passage[]): string {
  const out: string[] = [];
  let at = 0;
  const spaces = (text: string) => text.replace(/[^\n]/g, ' ');
  for (const { start, end } of passages) {
    out.push(spaces(source.slice(at, start)), unmarked(source.slice(start, end), spaces));
    at = end;
  }
  out.push(spaces(source.slice(at)));
  return out.join('');
}

function unmarked(text: string, spaces: (text: string) => string): string {
  if (text.startsWith('/*'))
    return text
      .replace(/^\/\*+/, spaces)
      .replace(/\*+\/$/, spaces)
      .replace(/^[\t ]*\*(?!\*)/gm, spaces)
      .replace(/`[^`\n]*`/g, code)
      .replace(/\{@link [^}]*\}/g, code)
      .replace(DIRECTIVE, spaces);
  if (text.startsWith('//'))
    return text
      .replace(/^[\t ]*\/\//gm, spaces)
      .replace(/`[^`\n]*`/g, code)
      .replace(DIRECTIVE, spaces);
  const inside = /^['"`]/.test(text) ? ` ${text.slice(1, -1)} ` : text;
  const unescaped = inside.replace(/\\[nt]/g, '. ').replace(/\\(?=['"`])/g, ' ');
  return text.startsWith('`') ? holes(unescaped) : unescaped;
}

/** Counts code inside prose as one word. */
const code = (text: string) => 'x'.repeat(text.length);

/** Counts each `${…}` as one word. */
function holes(text: string): string {
  let out = '';
  let depth = 0;
  for (let n = 0; n < text.length; n++) {
    const character = text[n] ?? '';
    if (depth === 0 && character === '$' && text[n + 1] === '{') depth = 1;
    else if (depth > 0 && character === '{' && text[n - 1] !== '$') depth++;
    out += depth > 0 && character !== '\n' ? 'x' : character;
    if (depth > 0 && character === '}') depth--;
  }
  return out;
}
