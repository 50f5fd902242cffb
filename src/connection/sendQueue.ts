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

/** Numbers rise from message to message, so a Map is in order, and finds any of them at once. */
export class SendQueue {
  readonly #limits: QueueLimits
  readonly #sink: DropSink
  readonly #payloads = new Map<number, Payload>()
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

  get length(): number {
    return this.#payloads.size
  }

  /** Payload bytes that wait. */
  get bytes(): number {
    return this.#bytes
  }

  /** Takes a message with a number higher than all before it. */
  push(seq: number, payload: Payload, now: number): PushResult {
    const { maxQueueMessages, maxQueueBytes, maxQueueAge, overflow } = this.#limits
    this.expire(now)
    const bytes = byteLength(payload)
    const full = () => this.length >= maxQueueMessages || this.#bytes + bytes > maxQueueBytes
    if (full()) {
      if (overflow === 'reject') return 'rejected'
      // What no empty queue could hold does not push the others out first.
      if (overflow === 'drop-newest' || bytes > maxQueueBytes || maxQueueMessages < 1) {
        this.#sink.dropped(seq, payload, 'overflow')
        return 'dropped'
      }
      while (full()) this.#dropOldest('overflow')
    }
    if (this.length === 0) this.#from = seq
    this.#payloads.set(seq, snapshot(payload))
    this.#bytes += bytes
    if (maxQueueAge < Infinity) {
      this.#times ??= new Map()
      this.#times.set(seq, now)
    }
    return 'queued'
  }

  /** The number of the oldest message; `undefined` when none waits. */
  get firstSeq(): number | undefined {
    if (this.length === 0) return undefined
    // Not the Map's first key: that would step over all that have been taken out before it, each time anew.
    while (!this.#payloads.has(this.#from)) this.#from += 1
    return this.#from
  }

  /** The payload of message `seq`, if it still waits. */
  get(seq: number): Payload | undefined {
    return this.#payloads.get(seq)
  }

  /** Takes the oldest message out. */
  shift(): Payload | undefined {
    const seq = this.firstSeq
    return seq === undefined ? undefined : this.#take(seq)
  }

  /** Takes message `seq` out, wherever it stands. Returns whether it was still there. */
  remove(seq: number): boolean {
    return this.#take(seq) !== undefined
  }

  /** Drops what has waited longer than the limit. */
  expire(now: number): void {
    while (this.expiresAt <= now) this.#dropOldest('expired')
  }

  /** When the oldest message will have waited too long. */
  get expiresAt(): number {
    const queuedAt = this.#times?.get(this.firstSeq as number) ?? Infinity
    return queuedAt + this.#limits.maxQueueAge
  }

  #take(seq: number): Payload | undefined {
    const payload = this.#payloads.get(seq)
    if (payload === undefined) return undefined
    this.#payloads.delete(seq)
    this.#times?.delete(seq)
    this.#bytes -= byteLength(payload)
    return payload
  }

  #dropOldest(reason: 'overflow' | 'expired'): void {
    const seq = this.firstSeq as number
    this.#sink.dropped(seq, this.#take(seq) as Payload, reason)
  }
}
