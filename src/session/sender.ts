// What one side of a session sends: messages that wait, those that have a number, and when each may go out. Like
// `peer.ts`, whose part it is: it changes the peer's state and appends effects.

import { Backlog } from './backlog.ts'
import type { Effects, PeerEffect } from './effects.ts'
import { type DropReason, type Entry, NEVER } from './entry.ts'
import { encodeReliable, type Payload } from './frames.ts'
import { Outbox, type OutboxState } from './outbox.ts'
import type { PeerOptions, PeerState } from './peerState.ts'
import type { Write } from './store.ts'

/** What came of `send`. */
export type Accepted =
  /** On the wire, or about to be recorded and then sent, or waiting: it has the number `state.seq`. */
  | 'taken'
  /** There was no room and it had to go: an effect says so. */
  | 'dropped'
  /** There is no room. Nothing has been taken. */
  | 'rejected'
  /** It is larger than the other side takes. */
  | 'tooLarge'
  /** A text without a character has no form on the wire: that is how a tombstone travels. */
  | 'empty'

export interface SendOptions {
  /** A whole number; higher ones go first. */
  readonly priority?: number | undefined
  /** When it is dropped if it has no number by then. */
  readonly expiresAt?: number | undefined
}

const NO_OPTIONS: SendOptions = {}

export class Sender {
  readonly #state: PeerState
  readonly #options: PeerOptions
  readonly #effects: Effects<PeerEffect>
  readonly #backlog: Backlog
  readonly #onDrop: (entry: Entry, reason: DropReason) => void
  readonly #onDelivered: (entry: Entry) => void
  #outbox: Outbox

  constructor(state: PeerState, options: PeerOptions, effects: Effects<PeerEffect>) {
    this.#state = state
    this.#options = options
    this.#effects = effects
    this.#outbox = new Outbox(state.outbox)
    this.#backlog = new Backlog(state.backlog, options)
    this.#onDrop = (entry, reason) => {
      this.#store({ kind: 'drop', seq: entry.seq })
      effects.push({ do: 'dropped', entry, reason })
    }
    this.#onDelivered = ({ seq }) => {
      if (seq !== 0) effects.push({ do: 'delivered', seq })
    }
  }

  /** Messages that wait for a number. */
  get waiting(): number {
    return this.#backlog.length
  }

  /** Messages that have a number and no acknowledgement. */
  get unacknowledged(): number {
    return this.#outbox.length
  }

  /** Every number has been given and acknowledged: only another session has more. */
  get isUsedUp(): boolean {
    return this.#outbox.isUsedUp
  }

  /** Whether a message of this size can never be sent: asked before it is copied. */
  isTooLarge(bytes: number): boolean {
    return this.#state.sid !== '' && bytes > this.#state.limits.maxFrame
  }

  /** Accepts a reliable message. */
  send(
    stream: number,
    payload: Payload,
    bytes: number,
    now: number,
    options: SendOptions = NO_OPTIONS,
  ): Accepted {
    const state = this.#state
    if (payload === '') return 'empty'
    if (this.isTooLarge(bytes)) return 'tooLarge'
    this.#backlog.expire(now, this.#onDrop)
    const { priority = 0, expiresAt = NEVER } = options
    const entry: Entry = { seq: state.seq + 1, stream, payload, bytes, priority, expiresAt }
    if (state.link === 'up' && this.#backlog.length === 0 && this.#outbox.admits(bytes, state.limits)) {
      state.seq += 1
      this.#number(entry)
      this.flush()
      return 'taken'
    }
    const result = this.#backlog.push(entry, this.#onDrop)
    if (result === 'rejected') return 'rejected'
    state.seq += 1
    if (result === 'dropped') return 'dropped'
    this.#store({ kind: 'accept', entry })
    return 'taken'
  }

  /** Takes message `seq` back; false when it has a number, or is gone. */
  cancel(seq: number): boolean {
    if (!this.#backlog.withdraw(seq)) return false
    this.#store({ kind: 'drop', seq })
    this.#sayReady()
    return true
  }

  /** Whether message `seq` still waits for its number. */
  isWaiting(seq: number): boolean {
    return this.#backlog.has(seq)
  }

  /** Whether message `seq` is still undecided: it waits, or has not been acknowledged. */
  keeps(seq: number): boolean {
    return this.#outbox.has(seq) || this.#backlog.has(seq)
  }

  /** The line is a plain one: what waits goes out as it is, and is gone. `take` returns false when it took none. */
  sendPlain(take: (entry: Entry) => boolean): void {
    if (this.#backlog.length === 0) return
    for (let first = this.#backlog.first; first && take(first); first = this.#backlog.first) {
      this.#backlog.shift()
      this.#store({ kind: 'drop', seq: first.seq })
    }
    this.#sayReady()
  }

  /** The number of a message is recorded. */
  recorded(number: number): void {
    this.#outbox.recorded(number)
    this.flush()
  }

  /** Another connection, or none: all that is not acknowledged goes out anew. */
  rewind(): void {
    this.#outbox.rewind()
  }

  /** From now on messages get numbers: what is too old or too large by now does not. */
  open(now: number): void {
    this.expire(now)
    this.#backlog.dropLarger(this.#state.limits.maxFrame, this.#onDrop)
    this.flush()
  }

  /** Drops what has waited too long. */
  expire(now: number): void {
    this.#backlog.expire(now, this.#onDrop)
  }

  /** What the other side says it has taken, in `resume` or `opened`. False: one of us lost memory. */
  place(rx: number): boolean {
    if (!this.#outbox.canPlace(rx)) return false
    this.#acknowledged(rx)
    return true
  }

  /** An ack came in. Returns how it broke the protocol. */
  ack(rx: number): string | undefined {
    const { outbox } = this.#state
    if (rx > outbox.sentEver) return `an ack of ${rx}, which was never sent`
    if (rx > outbox.acked) {
      this.#acknowledged(rx)
      this.flush()
    }
    return undefined
  }

  /** Sends what may go out: first what has a number, then what gets one. */
  flush(): void {
    const state = this.#state
    if (state.link === 'down') return
    if (state.link === 'up') {
      const waited = this.#backlog.length > 0
      for (let first = this.#backlog.first; first; first = this.#backlog.first) {
        if (!this.#outbox.admits(first.bytes, state.limits)) break
        this.#backlog.shift()
        this.#number(first)
      }
      if (waited) this.#sayReady()
    }
    for (let entry = this.#outbox.next(); entry; entry = this.#outbox.next()) {
      this.#transmit(this.#outbox.sending(), entry)
    }
  }

  /** Another session, or none, has this outbox. */
  reset(outbox: OutboxState): void {
    this.#state.outbox = outbox
    this.#outbox = new Outbox(outbox)
  }

  /** Takes up messages that a store remembers and that have no number. */
  restoreBacklog(entries: readonly Entry[]): void {
    for (const entry of entries) {
      this.#backlog.add(entry)
      this.#state.seq = Math.max(this.#state.seq, entry.seq)
    }
  }

  /** Messages of a session that is over wait for the next one, before all others. */
  requeue(entries: readonly Entry[]): void {
    this.#backlog.requeue(entries)
  }

  /** Drops all that waits. */
  discard(): void {
    this.#backlog.clear('closed', this.#onDrop)
  }

  /** Nobody takes the largest message that went out, because of its size: a tombstone takes its place. */
  setLargestAside(): void {
    const buried = this.#outbox.buryLargest()
    if (!buried) return
    const { number, entry } = buried
    this.#store({ kind: 'void', sid: this.#state.sid, number })
    this.#effects.push({ do: 'setAside', entry })
  }

  /** The messages that the other side may not have. */
  get doubtful(): Entry[] {
    return this.#outbox.unacknowledged()
  }

  /** A message enters the window. */
  #number(entry: Entry): void {
    const number = this.#outbox.push(entry)
    if (this.#options.durable) this.#store({ kind: 'number', sid: this.#state.sid, number, entry })
    else this.#outbox.recorded(number)
  }

  #transmit(number: number, { stream, payload }: Entry): void {
    if (typeof payload === 'string') this.#effects.push({ do: 'transmit', number, text: payload })
    else this.#effects.push({ do: 'send', frame: encodeReliable(number, stream, payload) })
  }

  #sayReady(): void {
    if (this.#backlog.length === 0) this.#effects.push({ do: 'ready' })
  }

  #acknowledged(rx: number): void {
    if (rx <= this.#state.outbox.acked) return
    this.#outbox.acknowledge(rx, this.#onDelivered)
    this.#store({ kind: 'prune', sid: this.#state.sid, acked: rx })
  }

  #store(write: Write): void {
    if (this.#options.durable) this.#effects.push({ do: 'store', write })
  }
}
