// Whether to offer guru.v1 to a server, and what its answer means. With `auto` it is found out once per address; what is
// remembered is an answer, never a failure: a server that was down for a while is not taken for one that knows no sessions.

import type { ProtocolMemory } from './protocolMemory.ts'

/** The WebSocket subprotocol. */
const SUBPROTOCOL = 'guru.v1'

/**
 * How an attempt ended that opened no line. `refused`: an HTTP status answered the upgrade; `unselected`: it was accepted without
 * the subprotocol that was offered; `unanswered`: nobody answered; `unknown`: this cannot be told (browsers do not say; a proxy's
 * 5xx may stand for a server that is down).
 */
export type FailedUpgrade = 'refused' | 'unselected' | 'unanswered' | 'unknown'

/** What an open socket is for. `again`: nothing yet, guru.v1 is to be offered once more, at once. */
export type Agreed = 'session' | 'plain' | 'again' | undefined

/** What the next attempt is for. */
type Step =
  /** It offers guru.v1. */
  | 'offer'
  /** The offer was refused with a status: a plain line that opens now is the answer. */
  | 'afterRefusal'
  /** The offer failed, who knows why: is anybody there? */
  | 'probe'
  /** Somebody has just been there: it offers once more. */
  | 'offerAgain'
  /** And it failed once more, or it is known to be plain: a plain line that opens now is the answer. */
  | 'afterFailure'
  /** The server is remembered as plain. */
  | 'plain'

/** What follows an offer that failed. */
const AFTER_OFFER: Readonly<Record<'offer' | 'offerAgain', Readonly<Record<FailedUpgrade, Step>>>> = {
  offer: { unanswered: 'offer', unselected: 'afterFailure', refused: 'afterRefusal', unknown: 'probe' },
  offerAgain: {
    unanswered: 'offer',
    unselected: 'afterFailure',
    refused: 'afterFailure',
    unknown: 'afterFailure',
  },
}

/** So often a remembered plain server can fail, who knows why, before it is offered guru.v1 anew. */
const MOST_DOUBTS = 3

export class SubprotocolOffer {
  readonly #required: boolean
  readonly #memory: ProtocolMemory
  #step: Step = 'offer'
  /** Whether the memory has proved wrong about this place. */
  #forgotten = false
  #doubts = 0
  #place = ''
  #committed = false

  constructor(required: boolean, memory: ProtocolMemory) {
    this.#required = required
    this.#memory = memory
  }

  /** A session has opened, or is remembered by a storage: this client is never plain again. */
  commit(): void {
    this.#committed = true
  }

  /** What to offer at the next attempt; `undefined` for a plain line. */
  at(url: string): string | undefined {
    const place = url.split('?', 1)[0] as string
    if (place !== this.#place) {
      this.#place = place
      this.#step = 'offer'
      this.#forgotten = false
    }
    if (this.#needsSession) this.#step = 'offer'
    else if (this.#step === 'offer' && !this.#forgotten && this.#memory.get(place) === 'plain')
      this.#step = 'plain'
    return this.#offers ? SUBPROTOCOL : undefined
  }

  /** What is spoken on a line whose server has selected `protocol`; `undefined` when that will not do. */
  answered(protocol: string): Agreed {
    if (protocol === SUBPROTOCOL) return 'session'
    if (this.#needsSession) return this.#offers ? undefined : 'again'
    if (this.#step === 'probe') {
      this.#step = 'offerAgain'
      return 'again'
    }
    if (this.#step !== 'plain') this.#remember('plain')
    this.#doubts = 0
    this.#step = 'offer'
    return 'plain'
  }

  /** A session has opened there. */
  opened(): void {
    this.commit()
    this.#step = 'offer'
    this.#remember('session')
  }

  /** No line has opened. Returns whether the next attempt belongs to the same question and can start at once. */
  failed(upgrade: FailedUpgrade): boolean {
    const step = this.#step
    if (step === 'offer' || step === 'offerAgain') {
      if (this.#needsSession) return false
      if (upgrade === 'unselected') this.#remember('plain')
      this.#step = AFTER_OFFER[step][upgrade]
      return this.#step === 'afterFailure'
    }
    this.#doubts += upgrade === 'unknown' ? 1 : 0
    const believed = step === 'plain' && upgrade === 'unknown' && this.#doubts < MOST_DOUBTS
    if (upgrade === 'unanswered' || believed) return false
    // It may have learnt guru.v1 since, or refuse what does not ask for it.
    this.#step = 'offer'
    this.#forgotten = true
    return false
  }

  #remember(spoken: 'session' | 'plain'): void {
    this.#forgotten = false
    this.#doubts = 0
    this.#memory.set(this.#place, spoken)
  }

  get #offers(): boolean {
    return this.#step === 'offer' || this.#step === 'offerAgain'
  }

  get #needsSession(): boolean {
    return this.#committed || this.#required
  }
}
