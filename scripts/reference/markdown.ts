/** Formats Markdown for the generated reference pages. */

/** Formats a table. It escapes `|` and line breaks in cells. */
export function table(head: string[], rows: string[][]): string[] {
  const line = (cells: string[]) => `| ${cells.map(cell).join(' | ')} |`;
  return [line(head), line(head.map(() => '---')), ...rows.map(line)];
}

const cell = (text: string) => text.replaceAll('|', '\\|').replaceAll('\n', ' ');

/** Adds a full stop to a sentence that does not end with one. */
export const sentence = (text: string) => (/[.!?]$/.test(text) ? text : `${text}.`);

/** Formats a page: title, paragraphs and tables, separated by blank lines. */
export function page(title: string, blocks: (string | string[])[]): string {
  const texts = blocks.map((block) => (Array.isArray(block) ? block.join('\n') : block));
  return `${[`# ${title}`, ...texts].join('\n\n')}\n`;
}

/** Returns the notice that names the page's source, so that nobody edits the page by hand. */
export const generatedFrom = (source: string) => `\`npm run docs\` generates this page from ${source}. Do not edit it.`;
