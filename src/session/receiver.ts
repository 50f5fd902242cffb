// What one side of a session takes: starts handlers, records how far they have settled, and acknowledges it. Like
// `peer.ts`, whose part it is: it changes the peer's state and appends effects.

import type { Effects, PeerEffect } from './effects.ts'
import { type Payload, payloadBytes, TEXT } from './frames.ts'
import { Inbox, type InboxState, NOT_DUE } from './inbox.ts'
import type { PeerOptions, PeerState } from './peerState.ts'

/** What `take` returns for a message above `maxFrame`: its sender sets it aside when the connection ends with 4413. */
export const TOO_LARGE = 'a message above maxFrame'

/** A UTF-16 unit becomes three bytes of UTF-8 at most. */
const MOST_BYTES_OF_A_UNIT = 3

export class Receiver {
  readonly #state: PeerState
  readonly #options: PeerOptions
  readonly #effects: Effects<PeerEffect>
  #inbox: Inbox

  constructor(state: PeerState, options: PeerOptions, effects: Effects<PeerEffect>) {
    this.#state = state
    this.#options = options
    this.#effects = effects
    this.#inbox = new Inbox(state.inbox, options)
  }

  /** Message `number` came in. Returns how it broke the protocol. */
  take(number: number, stream: number, payload: Payload, now: number): string | undefined {
    const { sid, limits, inbox } = this.#state
    // The other side measured UTF-8; units are close enough to notice who does not keep to the limit at all.
    const bytes = payload.length
    if (bytes * MOST_BYTES_OF_A_UNIT > limits.maxFrame && payloadBytes(payload) > limits.maxFrame)
      return TOO_LARGE
    switch (this.#inbox.take(number, bytes, limits, now)) {
      case 'start':
        if (payload === '' && stream === TEXT) this.settled(number, now)
        else {
          const redelivered = number <= inbox.suspect
          this.#effects.push({ do: 'deliver', sid, number, stream, payload, redelivered })
        }
        return undefined
      case 'settled':
        this.settled(number, now)
        return undefined
      case 'duplicate':
        return undefined
      case 'gap':
        return `message ${number} came after ${inbox.taken}`
      case 'overrun':
        return `message ${number} is beyond the window`
    }
  }

  /** The handler of message `number` has settled. */
  settled(number: number, now: number): void {
    if (this.#inbox.settle(number)) this.#moved(now)
  }

  /** `rx` is recorded. */
  recorded(rx: number, now: number): void {
    this.#inbox.recorded(rx)
    this.#moved(now)
  }

  /** The `rx` that goes out in `resume` or `opened`. It acknowledges like an ack. */
  takeRx(): number {
    return this.#inbox.ackSent()
  }

  /** The other side has never sent more than up to `number`. */
  neverSentAbove(number: number): void {
    this.#inbox.neverSentAbove(number)
  }

  /** When the oldest running handler will have run too long. */
  get expiresAt(): number {
    return this.#inbox.expiresAt
  }

  /** Time has passed: handlers may have taken too long, or an ack is due. */
  wake(now: number): void {
    if (this.#inbox.expiresAt <= now) {
      this.#inbox.expire(now, (number) => void this.#effects.push({ do: 'handlerTimedOut', number }))
      this.#moved(now)
    } else if (this.#state.inbox.ackAt !== NOT_DUE) this.#acknowledge(now)
  }

  /** Another session, or none, has this inbox. */
  reset(inbox: InboxState): void {
    this.#state.inbox = inbox
    this.#inbox = new Inbox(inbox, this.#options)
  }

  #acknowledge(now: number): void {
    // Without a connection the next `resume` or `opened` says it.
    if (this.#state.link === 'down') return
    if (!this.#inbox.isAckDue(this.#state.limits, now)) return
    this.#effects.push({ do: 'sendAck', rx: this.#inbox.ackSent() })
  }

  /** `settled` or `rx` has moved. */
  #moved(now: number): void {
    const rx = this.#inbox.nextRecord()
    if (rx !== 0) this.#effects.push({ do: 'store', write: { kind: 'rx', sid: this.#state.sid, rx } })
    this.#acknowledge(now)
  }
}
