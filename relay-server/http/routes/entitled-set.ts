import { TidemarkError } from '@tidemark/protocol/errors';
import type { ScopeSet } from '@tidemark/protocol/page';
import type { EntitledSet } from '../../routing/filters.ts';
import type { Call } from './route.ts';

/** The bearer's set of scopes. Throws scope_denied when the request names another. */
export function entitledSet({ feed, bearer }: Pick<Call<unknown>, 'feed' | 'bearer'>, named?: ScopeSet): EntitledSet {
  const set = feed.entitled(bearer.attributes);
  if (named !== undefined && named !== set.id) throw new TidemarkError('scope_denied');
  return set;
}
