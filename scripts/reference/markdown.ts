/** Markdown shared by the generated reference pages. */

/** A table; `|` and line breaks in cells are escaped. */
export function table(head: string[], rows: string[][]): string[] {
  const line = (cells: string[]) => `| ${cells.map(cell).join(' | ')} |`;
  return [line(head), line(head.map(() => '---')), ...rows.map(line)];
}

const cell = (text: string) => text.replaceAll('|', '\\|').replaceAll('\n', ' ');

/** A sentence without its full stop, or with one, ends with one. */
export const sentence = (text: string) => (/[.!?]$/.test(text) ? text : `${text}.`);

/** A generated page: title, paragraphs and tables, each separated by a blank line. */
export function page(title: string, blocks: (string | string[])[]): string {
  const texts = blocks.map((block) => (Array.isArray(block) ? block.join('\n') : block));
  return `${[`# ${title}`, ...texts].join('\n\n')}\n`;
}

/** Names the source of a generated page, so that nobody edits the page by hand. */
export const generatedFrom = (source: string) => `\`npm run docs\` generates this page from ${source}. Do not edit it.`;
