// Messages that wait for the line, in order, bounded by count, bytes and age.
// It decides what has to go when there is no room; it tells nobody: its owner reports what was dropped.

import { byteLength, type Payload, snapshot } from './encoding.ts'
import type { SendOptions } from './messageLayer.ts'

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

/** A message that waits. */
export interface Queued {
  readonly payload: Payload
  /** How it is to be sent, once there is a session. */
  readonly options: SendOptions | undefined
  /** When it was queued. */
  readonly at: number
}

/** Shared by all queues in which nothing waits, and never written to: most connections never need one of their own. */
const EMPTY = new Map<number, never>()

/** Numbers rise from message to message, so a Map is in order, and finds any of them at once. */
export class SendQueue {
  readonly #limits: QueueLimits
  readonly #sink: DropSink
  #messages: Map<number, Queued> = EMPTY
  /** No message with a lower number waits. */
  #from = 0
  #bytes = 0

  /** @param sink is told of each message that has to go */
  constructor(limits: QueueLimits, sink: DropSink) {
    this.#limits = limits
    this.#sink = sink
  }

  get queuedMessages(): number {
    return this.#messages.size
  }

  /** Payload bytes that wait. */
  get queuedBytes(): number {
    return this.#bytes
  }

  /** Takes a message with a number higher than all before it. */
  push(seq: number, payload: Payload, now: number, options?: SendOptions): PushResult {
    const { maxQueueMessages, maxQueueBytes, overflow } = this.#limits
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
      this.#messages = new Map()
    }
    this.#messages.set(seq, { payload: snapshot(payload), options, at: now })
    this.#bytes += bytes
    return 'queued'
  }

  /** The number of the oldest message, while one waits. */
  get #firstSeq(): number {
    // Not the Map's first key: that would step over all that have been taken out before it, each time anew.
    while (this.queuedMessages > 0 && !this.queued(this.#from)) this.#from += 1
    return this.#from
  }

  /** The messages that wait, in order. What is taken out meanwhile is not met. */
  waiting(): MapIterator<[seq: number, message: Queued]> {
    return this.#messages.entries()
  }

  /** Whether message `seq` still waits. */
  queued(seq: number): boolean {
    return this.#messages.has(seq)
  }

  /** Takes message `seq` out, wherever it stands. Returns whether it was still there. */
  withdraw(seq: number): boolean {
    const message = this.#messages.get(seq)
    if (!message) return false
    this.#messages.delete(seq)
    this.#bytes -= byteLength(message.payload)
    if (this.queuedMessages === 0) this.#messages = EMPTY
    return true
  }

  /** Drops what has waited longer than the limit. */
  wake(now: number): void {
    while (this.wakeAt <= now) this.#dropOldest('expired')
  }

  /** When the oldest message will have waited too long. */
  get wakeAt(): number {
    const { maxQueueAge } = this.#limits
    if (maxQueueAge === Infinity || this.queuedMessages === 0) return Infinity
    return (this.#messages.get(this.#firstSeq) as Queued).at + maxQueueAge
  }

  #dropOldest(reason: 'overflow' | 'expired'): void {
    const seq = this.#firstSeq
    const { payload } = this.#messages.get(seq) as Queued
    this.withdraw(seq)
    this.#sink.dropped(seq, payload, reason)
  }
}
