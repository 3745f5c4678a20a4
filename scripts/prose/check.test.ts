import { describe, expect, test } from 'vitest';
import { checkText } from './check.ts';

const found = async (file: string, text: string) =>
  (await checkText(file, text)).map(({ line, rule }) => `${line} ${rule}`);

describe('in a TypeScript module', () => {
  test('checks comments and reports their lines', async () => {
    expect(await found('a.ts', '// Fine.\nconst a = 1;\n/**\n * Reads the table\n * anew.\n */\n')).toEqual(['5 anew']);
  });

  test('checks sentences in strings, templates and elements', async () => {
    const source = `
      test('the feed goes on after a restart', () => {});
      const message = \`The table \${table} is read anew: nothing is lost\`;
      const element = <p>It is repaired by itself here</p>;
    `;
    expect(await found('a.tsx', source)).toEqual(['2 goes on', '3 anew', '4 it is done', '4 by itself']);
  });

  test('ignores names, single words, inline code and SQL', async () => {
    const source = `
      import { anew } from './whole thing that stands.ts';
      // \`anew\` is the name of a function.
      const sql = "SELECT whole FROM anew WHERE a = 1";
      const create = \`CREATE TABLE anew (whole text)\`;
      const key = 'whole';
    `;
    expect(await found('a.ts', source)).toEqual([]);
  });

  test('counts the words of a sentence across the lines of a comment', async () => {
    const words = Array.from({ length: 41 }, (_, n) => `w${n}`);
    const comment = (count: number) => `// ${words.slice(0, 20).join(' ')}\n// ${words.slice(20, count).join(' ')}.\n`;
    expect(await found('a.ts', comment(40))).toEqual([]);
    expect(await found('a.ts', comment(41))).toEqual(['1 long']);
  });

  test('ends a sentence at a list item or a blank line', async () => {
    const item = ` * - ${Array.from({ length: 30 }, (_, n) => `w${n}`).join(' ')}\n`;
    expect(await found('a.ts', `/**\n${item}${item}*/\n`)).toEqual([]);
  });
});

describe('in Markdown', () => {
  test('checks paragraphs, list items, headings and tables, but not code', async () => {
    const text = '# Anew\n\nIt is whole.\n\n- by itself\n\n| a |\n| --- |\n| lacks |\n\n```\nanew\n```\n\n`whole`\n';
    expect(await found('a.md', text)).toEqual(['1 anew', '3 whole', '5 by itself', '9 lacks']);
  });
});

test('accepts an exception with a reason for one rule, on its line and the next', async () => {
  const comment = '// prose-ok(whole): quotes the title of a book';
  expect(await found('a.ts', `${comment}\n// The whole is anew.\n// The whole again.\n`)).toEqual([
    '2 anew',
    '3 whole',
  ]);
  expect(await found('a.ts', '// prose-ok(whole):\n// The whole.\n')).toEqual(['2 whole']);
});

test('reports the phrase and what to write instead', async () => {
  const [finding] = await checkText('a.md', 'The feed reads it anew.');
  expect(finding?.message).toBe('"anew": say "again", or name the act: re-read, restart, reset, rebuild');
});
