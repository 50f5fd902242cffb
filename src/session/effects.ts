// What steps of a session ask for: plain data, in order. A machine appends to a list that `SessionRuntime.ts` carries out
// and empties; so a test can compare, count and postpone what a step would do.

import type { CloseDecision } from './closeDecision.ts'
import type { DropReason, Entry } from './entry.ts'
import type { Frame, Payload } from './frames.ts'
import type { Write } from './store.ts'

/** Why a client's session is over although nobody closed it. */
export type LossReason =
  /** The server said so (4410). */
  | 'gone'
  /** One side lost memory: what it said cannot be placed. */
  | 'memory'
  /** The protocol was broken twice without progress. */
  | 'protocol'
  /** The app ended it, or disposed of a connection that keeps it in memory only. */
  | 'stopped'
  /** The outbox can no longer be written. */
  | 'storage'
  /** The numbers are used up. */
  | 'usedUp'

/** Why a server's session is over. */
export type EndReason =
  /** The client closed it. */
  | 'closed'
  /** The client stayed away longer than its `ttl`. */
  | 'expired'
  /** One side lost memory: what the client said cannot be placed. */
  | 'memory'
  /** It had to make room for another. */
  | 'evicted'
  /** The server's app ended it. */
  | 'ended'

/** What both sides do alike. */
export type PeerEffect =
  /** Put a frame on the current connection. */
  | { readonly do: 'send'; readonly frame: Frame }
  /** The same for the text frame `number:text`, which a socket may be able to put together as it sends it. */
  | { readonly do: 'transmit'; readonly number: number; readonly text: string }
  /** Put `encodeAck` of `rx` there before the turn is over: the latest covers those before it. */
  | { readonly do: 'sendAck'; readonly rx: number }
  /** Answer a ping: the latest covers those before it. */
  | { readonly do: 'sendPong'; readonly at: number }
  /** Say that what was on its way of a stream has been dropped: once for each time that it was asked for. */
  | { readonly do: 'sendFlushed'; readonly stream: number }
  /** Record a fact; the machine's `stored` is called with it, in order, once it would survive. Only with `durable`. */
  | { readonly do: 'store'; readonly write: Write }
  /** Start the handler of a message; once it has settled, `settled` is called with the same `sid` and number. */
  | {
      readonly do: 'deliver'
      readonly sid: string
      readonly number: number
      readonly stream: number
      readonly payload: Payload
      readonly redelivered: boolean
    }
  /** Hand over a volatile message. */
  | { readonly do: 'volatile'; readonly stream: number; readonly payload: Payload }
  /** Drop what is buffered of a stream: the other side was interrupted. */
  | { readonly do: 'flush'; readonly stream: number }
  /** Message `seq` is recorded. Only with `durable`. */
  | { readonly do: 'accepted'; readonly seq: number }
  /** The other side's handler of message `seq` has settled. */
  | { readonly do: 'delivered'; readonly seq: number }
  /** A message that had no number will not be sent. */
  | { readonly do: 'dropped'; readonly entry: Entry; readonly reason: DropReason }
  /** The other side refused the connection over the size of a message: whether that was handled is unknown. */
  | { readonly do: 'setAside'; readonly entry: Entry }
  /** A handler was given up after `handlerTimeout`. */
  | { readonly do: 'handlerTimedOut'; readonly number: number }
  /** Nothing waits behind the window any more. */
  | { readonly do: 'ready' }
  /** A ping was answered; `at` is what it carried. */
  | { readonly do: 'pong'; readonly at: number }

export type ClientEffect =
  | PeerEffect
  /** End the current connection with this code; what follows is decided: `closed` is not called for it. */
  | {
      readonly do: 'hangUp'
      readonly code: number
      readonly reason: string
      readonly decision: CloseDecision
    }
  /** Messages may be sent: a session has begun or gone on. */
  | { readonly do: 'opened'; readonly resumed: boolean }
  /**
   * The session is over. `doubtful`: messages that may or may not have been handled, in order; `resent`: they wait for
   * the next session.
   */
  | {
      readonly do: 'lost'
      readonly reason: LossReason
      readonly doubtful: readonly Entry[]
      readonly resent: boolean
    }

export type ServerEffect =
  | PeerEffect
  /** From here on, frames of the session go out on this connection. */
  | { readonly do: 'attach'; readonly conn: number }
  /** End a connection; `detach` is not called for it. */
  | { readonly do: 'hangUp'; readonly conn: number; readonly code: number; readonly reason: string }
  /** Messages may be sent on the current connection. */
  | { readonly do: 'opened'; readonly resumed: boolean }
  /** The session is over. `undelivered`: messages that the client may not have. */
  | { readonly do: 'ended'; readonly reason: EndReason; readonly undelivered: readonly Entry[] }

/** Where a machine puts what is to be done: an array, as far as it needs one. */
export interface Effects<E> {
  push(effect: E): unknown
}

/** More slots than this are given back once they are empty. */
const KEPT_SLOTS = 64

/** Effects that wait to be carried out: a list that is filled and emptied again and again, and costs nothing by that. */
export class EffectList<E> implements Effects<E> {
  #items: (E | undefined)[] = []
  #from = 0
  #to = 0

  push(effect: E): void {
    this.#items[this.#to] = effect
    this.#to += 1
  }

  /** Takes the next one out; `undefined` when there is none. */
  take(): E | undefined {
    if (this.#from === this.#to) return undefined
    const effect = this.#items[this.#from]
    this.#items[this.#from] = undefined
    this.#from += 1
    if (this.#from === this.#to) {
      this.#from = 0
      this.#to = 0
      if (this.#items.length > KEPT_SLOTS) this.#items = []
    }
    return effect
  }
}
