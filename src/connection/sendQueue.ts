// Messages that wait for the line, in order, bounded by count, bytes and age.
// It decides what has to go when there is no room; it tells nobody: its owner reports what was dropped.

import { byteLength, type Payload, snapshot } from './encoding.ts'

/** What makes room when the queue is full. */
export type Overflow = 'drop-oldest' | 'drop-newest' | 'reject'

/** The bounds of a queue. */
export interface QueueLimits {
  readonly maxQueueMessages: number
  readonly maxQueueBytes: number
  readonly maxQueueAge: number
  readonly overflow: Overflow
}

/** Is told of what was dropped. It may not touch the queue within the call. */
export interface DropSink {
  dropped(seq: number, payload: Payload, reason: 'overflow' | 'expired'): void
}

/** Why a message could not be taken: `dropped` counts as told, `rejected` is for the caller to throw. */
export type PushResult = 'queued' | 'dropped' | 'rejected'

/** Shared by all queues in which nothing waits, and never written to: most connections never need one of their own. */
const EMPTY = new Map<number, never>()

/** Numbers rise from message to message, so a Map is in order, and finds any of them at once. */
export class SendQueue {
  readonly #limits: QueueLimits
  readonly #sink: DropSink
  #payloads: Map<number, Payload> = EMPTY
  /** When each was queued; kept only under an age limit. */
  #times: Map<number, number> | undefined
  /** No message with a lower number waits. */
  #from = 0
  #bytes = 0

  /** @param sink is told of each message that has to go */
  constructor(limits: QueueLimits, sink: DropSink) {
    this.#limits = limits
    this.#sink = sink
  }

  get queuedMessages(): number {
    return this.#payloads.size
  }

  /** Payload bytes that wait. */
  get queuedBytes(): number {
    return this.#bytes
  }

  /** Takes a message with a number higher than all before it. */
  push(seq: number, payload: Payload, now: number): PushResult {
    const { maxQueueMessages, maxQueueBytes, maxQueueAge, overflow } = this.#limits
    this.wake(now)
    const bytes = byteLength(payload)
    const full = () => this.queuedMessages >= maxQueueMessages || this.#bytes + bytes > maxQueueBytes
    if (full()) {
      if (overflow === 'reject') return 'rejected'
      // What no empty queue could hold does not push the others out first.
      if (overflow === 'drop-newest' || bytes > maxQueueBytes || maxQueueMessages < 1) {
        this.#sink.dropped(seq, payload, 'overflow')
        return 'dropped'
      }
      while (full()) this.#dropOldest('overflow')
    }
    if (this.queuedMessages === 0) {
      this.#from = seq
      this.#payloads = new Map()
    }
    this.#payloads.set(seq, snapshot(payload))
    this.#bytes += bytes
    if (maxQueueAge < Infinity) {
      this.#times ??= new Map()
      this.#times.set(seq, now)
    }
    return 'queued'
  }

  /** The number of the oldest message, while one waits. */
  get #firstSeq(): number {
    // Not the Map's first key: that would step over all that have been taken out before it, each time anew.
    while (this.queuedMessages > 0 && !this.queued(this.#from)) this.#from += 1
    return this.#from
  }

  /** The messages that wait, in order. What is taken out meanwhile is not met. */
  waiting(): MapIterator<[seq: number, payload: Payload]> {
    return this.#payloads.entries()
  }

  /** Whether message `seq` still waits. */
  queued(seq: number): boolean {
    return this.#payloads.has(seq)
  }

  /** Takes message `seq` out, wherever it stands. Returns whether it was still there. */
  withdraw(seq: number): boolean {
    const payload = this.#payloads.get(seq)
    if (payload === undefined) return false
    this.#payloads.delete(seq)
    this.#times?.delete(seq)
    this.#bytes -= byteLength(payload)
    if (this.queuedMessages === 0) this.#payloads = EMPTY
    return true
  }

  /** Drops what has waited longer than the limit. */
  wake(now: number): void {
    while (this.wakeAt <= now) this.#dropOldest('expired')
  }

  /** When the oldest message will have waited too long. */
  get wakeAt(): number {
    const queuedAt = this.#times?.get(this.#firstSeq) ?? Infinity
    return queuedAt + this.#limits.maxQueueAge
  }

  #dropOldest(reason: 'overflow' | 'expired'): void {
    const seq = this.#firstSeq
    const payload = this.#payloads.get(seq) as Payload
    this.withdraw(seq)
    this.#sink.dropped(seq, payload, reason)
  }
}
