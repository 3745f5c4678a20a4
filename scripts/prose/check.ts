import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { TextlintKernel, type TextlintKernelOptions, type TextlintPluginCreator } from '@textlint/kernel';
import { CodeProcessor } from './code-plugin.ts';
import { proseOf } from './code-prose.ts';
import { styleRule } from './style-rule.ts';

/**
 * Checks the prose of documents and code with textlint and the rules of `rules.ts`.
 *
 * Markdown goes to textlint verbatim. In a TypeScript module, `code-prose.ts` first replaces everything except comments
 * and sentences with spaces, so that positions in the result are positions in the module.
 */

export interface Finding {
  /** Path relative to the root, with forward slashes. */
  file: string;
  line: number;
  column: number;
  rule: string;
  /** The phrase that was found, and what to write instead. */
  message: string;
}

/** Node and Vite resolve the default export of this CommonJS module differently, so it is loaded with `require`. */
const markdown = createRequire(import.meta.url)('@textlint/textlint-plugin-markdown') as {
  default: TextlintPluginCreator;
};
const kernel = new TextlintKernel();
const rules = [{ ruleId: 'style', rule: styleRule }];

/**
 * Matches an exception: the rule that it silences, and the reason. It covers its own line and the next line of prose.
 */
const EXCEPTION = /prose-ok\(([^)]+)\): *(\S.*?)\s*(?:-->|\*\/|$)/;

/** Checks one file, named relative to `root`. Throws when a module does not parse. */
export async function checkFile(root: string, file: string): Promise<Finding[]> {
  return checkText(file, readFileSync(path.join(root, file), 'utf8'));
}

/** Checks a text as if it were the content of the file. */
export async function checkText(file: string, text: string): Promise<Finding[]> {
  const prose = file.endsWith('.md') ? null : proseOf(file, text);
  if (prose?.passages.length === 0) return [];
  const { messages } = prose
    ? await kernel.lintText(prose.blanked, {
        ext: '.code',
        plugins: [{ pluginId: 'code', plugin: { Processor: CodeProcessor }, options: { passages: prose.passages } }],
        rules,
      } as unknown as TextlintKernelOptions)
    : await kernel.lintText(text, { ext: '.md', plugins: [{ pluginId: 'markdown', plugin: markdown.default }], rules });
  const excepted = exceptionsOf(text);
  return messages
    .map(({ ruleId, message, loc }) => {
      const [, name, said] = /^\[([^\]]+)\] (.*)$/s.exec(message) ?? [];
      return { file, line: loc.start.line, column: loc.start.column, rule: name ?? ruleId, message: said ?? message };
    })
    .filter(({ rule, line }) => !excepted(rule, line));
}

function exceptionsOf(text: string): (rule: string, line: number) => boolean {
  const lines = text.split('\n');
  const silenced = new Set<string>();
  lines.forEach((line, n) => {
    const rule = EXCEPTION.exec(line)?.[1];
    if (rule === undefined) return;
    const next = lines.findIndex((each, at) => at > n && /\S/.test(each));
    silenced.add(`${n + 1} ${rule}`).add(`${next + 1} ${rule}`);
  });
  return (rule, line) => silenced.has(`${line} ${rule}`);
}
