/** Types of the functions of negotiator 1 that the relay uses. The package has no types. */
declare module 'negotiator' {
  export default class Negotiator {
    constructor(request: { headers: { 'accept-encoding'?: string | undefined } });
    /**
     * Returns the best of `available` that the request accepts, by weight and then by the order of `preferred`. Returns
     * undefined if it accepts none.
     */
    encoding<T extends string>(available: readonly T[], options: { preferred: readonly T[] }): T | undefined;
  }
}
