// The platform's own `fetch`. Apps put a `client.fetch` in the place of the global one, and it must not end up asking itself.

type Fetch = typeof globalThis.fetch

const ours = new WeakSet<Fetch>()
/** What was there before any client was made. */
const original: Fetch | undefined = globalThis.fetch

/** Says that a function is a client's. */
export function markAsOwnFetch(fetch: Fetch): void {
  ours.add(fetch)
}

/** The global `fetch` of this moment, so that mocks put in its place are heard; where that is a client's, the one before it. */
export function platformFetch(): Fetch {
  const { fetch } = globalThis
  return original && ours.has(fetch) ? original : fetch
}
