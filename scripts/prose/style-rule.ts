import type { TxtNode } from '@textlint/ast-node-types';
import type { TextlintRuleContext, TextlintRuleModule } from '@textlint/types';
import { MAX_PASSIVE, MAX_SEMICOLONS, MAX_WORDS, PASSIVE, PHRASES } from './rules.ts';

/**
 * The textlint rule that reports the phrases of `rules.ts` and overlong sentences in paragraphs, headings and table
 * cells.
 */
export const styleRule: TextlintRuleModule = (context: TextlintRuleContext) => {
  const { Syntax, RuleError, report, getSource, locator } = context;

  const check = (node: TxtNode) => {
    const text = withoutCode(getSource(node));
    const say = (index: number, rule: string, message: string) =>
      report(node, new RuleError(`[${rule}] ${message}`, { padding: locator.range([index, index + 1]) }));
    for (const { name, pattern, advice } of PHRASES)
      for (const { index, 0: found } of text.matchAll(pattern))
        say(index + found.search(/\w/), name, `"${found.replace(/^\W+/, '').replace(/\s+/g, ' ')}": ${advice}`);
    for (const { index, sentence } of sentencesOf(text))
      checkSentence(sentence, (rule, message) => {
        // A table cell may be a list of facts rather than a sentence.
        if (rule !== 'semicolons' || node.type !== Syntax.TableCell) say(index, rule, message);
      });
  };
  return { [Syntax.Paragraph]: check, [Syntax.Header]: check, [Syntax.TableCell]: check };
};

function checkSentence(sentence: string, say: (rule: string, message: string) => void): void {
  const start = `"${sentence.trim().replace(/\s+/g, ' ').split(' ').slice(0, 6).join(' ')} …"`;
  const words = sentence.match(/[\w’'-]*[A-Za-z][\w’'-]*/g)?.length ?? 0;
  if (words > MAX_WORDS) say('long', `${start} has ${words} words: split it, ${MAX_WORDS} at most`);
  const passives = sentence.match(PASSIVE)?.length ?? 0;
  if (passives > MAX_PASSIVE) say('passive', `${start} has ${passives} verbs in the passive: say who does it`);
  const semicolons = sentence.replace(/\([^)]*\)/g, '').match(/;/g)?.length ?? 0;
  if (semicolons > MAX_SEMICOLONS)
    say('semicolons', `${start} has ${semicolons} semicolons: write sentences, or a list`);
}

/** Counts inline code and link addresses as one word each. */
function withoutCode(text: string): string {
  return text
    .replace(/`[^`]*`/g, (code) => 'x'.repeat(code.length))
    .replace(/\]\([^)]*\)/g, (link) => ' '.repeat(link.length))
    .replace(/<!--.*?-->/gs, (comment) => comment.replace(/[^\n]/g, ' '));
}

function sentencesOf(text: string): { index: number; sentence: string }[] {
  const found: { index: number; sentence: string }[] = [];
  let index = 0;
  for (const end of text.matchAll(/(?<!\b(?:e\.g|i\.e|vs|etc|cf))[.!?…]["”')*_]*(?=\s|$)/g)) {
    const after = end.index + end[0].length;
    found.push(trimmed(text, index, after));
    index = after;
  }
  found.push(trimmed(text, index, text.length));
  return found.filter(({ sentence }) => sentence !== '');
}

function trimmed(text: string, from: number, to: number): { index: number; sentence: string } {
  const lead = text.slice(from, to).search(/\S/);
  return lead < 0 ? { index: from, sentence: '' } : { index: from + lead, sentence: text.slice(from + lead, to) };
}
