// Whether to offer guru.v1 to a server, and what its answer means. With `auto` it is found out once per address.

/** The WebSocket subprotocol. */
const SUBPROTOCOL = 'guru.v1'

/** Where which kind of line has opened, for `auto`. Shared: the next connection need not find out anew. */
const remembered = new Map<string, 'session' | 'plain'>()

export class SubprotocolOffer {
  readonly #required: boolean
  #offering = true
  #place = ''
  #committed = false

  constructor(required: boolean) {
    this.#required = required
  }

  /** A session has opened, or is remembered by a storage: this client is never plain again. */
  commit(): void {
    this.#committed = true
  }

  /** What to offer at the next attempt; `undefined` for a plain line. */
  at(url: string): string | undefined {
    this.#place = url.split('?', 1)[0] as string
    if (this.#needsSession) this.#offering = true
    else {
      const known = remembered.get(this.#place)
      this.#offering = known ? known === 'session' : this.#offering
    }
    return this.#offering ? SUBPROTOCOL : undefined
  }

  /** What is spoken on a line whose server has selected `protocol`; `undefined` when that will not do. */
  answered(protocol: string): 'session' | 'plain' | undefined {
    if (protocol === SUBPROTOCOL) return 'session'
    if (this.#offering && this.#needsSession) return undefined
    remembered.set(this.#place, 'plain')
    return 'plain'
  }

  /** A session has opened there. */
  opened(): void {
    this.commit()
    remembered.set(this.#place, 'session')
  }

  /** No line has opened: some servers refuse an upgrade that offers what they do not know, others one that does not. */
  refused(): void {
    this.#offering = !this.#offering
  }

  get #needsSession(): boolean {
    return this.#committed || this.#required
  }
}
