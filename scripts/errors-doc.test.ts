import { expect, test } from 'vitest';
import { errorsFile, errorsMarkdown } from './errors-doc.ts';

test('docs/errors.md says what the table of errors says (npm run docs renews it)', () => {
  expect(errorsFile()).toBe(errorsMarkdown());
});
