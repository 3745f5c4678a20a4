/** The part of negotiator 1 that the relay uses; the package has no types of its own. */
declare module 'negotiator' {
  export default class Negotiator {
    constructor(request: { headers: { 'accept-encoding'?: string | undefined } });
    /** The best of `available` that the request accepts, by its weights and then by `preferred`; undefined: none is. */
    encoding<T extends string>(available: readonly T[], options: { preferred: readonly T[] }): T | undefined;
  }
}
