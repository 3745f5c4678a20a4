import type { Passage } from './code-prose.ts';

/**
 * The textlint plugin for modules that `code-prose.ts` has reduced to their prose. Each passage becomes one paragraph.
 * A comment with blank lines, list items or tags becomes several.
 */

/** Matches the places in a comment where a paragraph begins. */
const BREAK = /\n[\t ]*(?:\n|(?=[-•] |@\w))/;

export class CodeProcessor {
  readonly #passages: Passage[];

  /** Creates the plugin for these passages. */
  constructor({ passages }: { passages: Passage[] }) {
    this.#passages = passages;
  }

  availableExtensions(): string[] {
    return ['.code'];
  }

  processor() {
    return {
      preProcess: (text: string) => documentOf(text, this.#passages),
      postProcess: (messages: unknown[], filePath?: string) => ({ messages, filePath: filePath ?? '<code>' }),
    };
  }
}

/** Returns a textlint syntax tree: a document of paragraphs, each with one string. */
function documentOf(text: string, passages: Passage[]) {
  const place = placer(text);
  const children = passages.flatMap(({ start, end }) =>
    paragraphsOf(text.slice(start, end)).map(([from, length]) => {
      const at = start + from;
      const node = { ...place(at, at + length), raw: text.slice(at, at + length) };
      return { type: 'Paragraph', ...node, children: [{ type: 'Str', ...node, value: node.raw }] };
    }),
  );
  return { type: 'Document', ...place(0, text.length), raw: text, children };
}

/** Returns the offset and the length of each paragraph. */
function paragraphsOf(text: string): [number, number][] {
  const found: [number, number][] = [];
  let at = 0;
  while (at < text.length) {
    const rest = text.slice(at);
    const lead = rest.length - rest.trimStart().length;
    const after = BREAK.exec(rest.slice(lead))?.index ?? rest.length - lead;
    const length = rest.slice(lead, lead + after).trimEnd().length;
    if (length > 0) found.push([at + lead, length]);
    at += lead + after + 1;
  }
  return found;
}

/** Converts ranges to textlint's positions: lines count from 1, columns from 0. */
function placer(text: string) {
  const starts = [0];
  for (let n = text.indexOf('\n'); n >= 0; n = text.indexOf('\n', n + 1)) starts.push(n + 1);
  const position = (offset: number) => {
    let low = 0;
    let high = starts.length - 1;
    while (low < high) {
      const middle = Math.ceil((low + high) / 2);
      if ((starts[middle] ?? 0) <= offset) low = middle;
      else high = middle - 1;
    }
    return { line: low + 1, column: offset - (starts[low] ?? 0) };
  };
  return (start: number, end: number) => ({
    range: [start, end] as const,
    loc: { start: position(start), end: position(end) },
  });
}
