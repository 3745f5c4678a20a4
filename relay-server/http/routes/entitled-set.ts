import { TidemarkError } from '@tidemark/protocol/errors';
import type { ScopeSet } from '@tidemark/protocol/page';
import type { EntitledSet } from '../../routing/filters.ts';
import type { Call } from './route.ts';

/** Returns the bearer's entitled set. Throws scope_denied if the request names another set. */
export function entitledSet({ feed, bearer }: Pick<Call<unknown>, 'feed' | 'bearer'>, named?: ScopeSet): EntitledSet {
  const set = feed.entitled(bearer.attributes);
  if (named !== undefined && named !== set.id) throw new TidemarkError('scope_denied');
  return set;
}
