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

// Parallel arrays rather than an object per message: 16 bytes an entry (24 with an age limit), not 60 and more.
// An entry that was withdrawn leaves a hole, so that finding one by its number stays a binary search.
export class SendQueue {
  #payloads: (Payload | undefined)[] = []
  #seqs: number[] = []
  /** When each was queued; kept only under an age limit. */
  #times: number[] | undefined
  #head = 0
  #holes = 0
  #bytes = 0

  get length(): number {
    return this.#payloads.length - this.#head - this.#holes
  }

  /** Payload bytes that wait. */
  get bytes(): number {
    return this.#bytes
  }

  /**
   * Takes a message with a number higher than all before it.
   * @param sink is told of each message that had to go for it, or of itself
   */
  push(seq: number, payload: Payload, now: number, limits: QueueLimits, sink: DropSink): PushResult {
    this.expire(now, limits, sink)
    const bytes = byteLength(payload)
    const fits = () => this.length < limits.maxQueueMessages && this.#bytes + bytes <= limits.maxQueueBytes
    // What no empty queue could hold does not push the others out first.
    const hopeless = bytes > limits.maxQueueBytes || limits.maxQueueMessages < 1
    if (!fits()) {
      if (limits.overflow === 'reject') return 'rejected'
      if (hopeless || limits.overflow === 'drop-newest') {
        sink.dropped(seq, payload, 'overflow')
        return 'dropped'
      }
      while (!fits()) this.#dropOldest(sink, 'overflow')
    }
    this.#payloads.push(snapshot(payload))
    this.#seqs.push(seq)
    if (limits.maxQueueAge !== Infinity) {
      this.#times ??= []
      this.#times.push(now)
    }
    this.#bytes += bytes
    return 'queued'
  }

  /** The number of the oldest message; `undefined` when none waits. */
  get firstSeq(): number | undefined {
    this.#skipHoles()
    return this.#seqs[this.#head]
  }

  /** The payload of the oldest message. */
  get first(): Payload | undefined {
    this.#skipHoles()
    return this.#payloads[this.#head]
  }

  /** Takes the oldest message out. */
  shift(): Payload | undefined {
    this.#skipHoles()
    const payload = this.#payloads[this.#head]
    if (payload === undefined) return undefined
    this.#bytes -= byteLength(payload)
    this.#payloads[this.#head] = undefined
    this.#head += 1
    this.#compact()
    return payload
  }

  /** Whether message `seq` still waits. */
  has(seq: number): boolean {
    return this.#payloads[this.#find(seq)] !== undefined
  }

  /** Takes message `seq` out, wherever it stands. Returns whether it was still there. */
  remove(seq: number): boolean {
    const index = this.#find(seq)
    const payload = this.#payloads[index]
    if (payload === undefined) return false
    this.#bytes -= byteLength(payload)
    this.#payloads[index] = undefined
    this.#holes += 1
    this.#compact()
    return true
  }

  /** Drops what has waited longer than the limit. */
  expire(now: number, limits: QueueLimits, sink: DropSink): void {
    while (this.expiresAt(limits) <= now) this.#dropOldest(sink, 'expired')
  }

  /** When the oldest message will have waited too long. */
  expiresAt(limits: QueueLimits): number {
    this.#skipHoles()
    const queuedAt = this.#times?.[this.#head]
    return queuedAt === undefined ? Infinity : queuedAt + limits.maxQueueAge
  }

  /** Where message `seq` stands; -1 for nowhere. */
  #find(seq: number): number {
    let low = this.#head
    let high = this.#seqs.length
    while (low < high) {
      const middle = (low + high) >> 1
      if ((this.#seqs[middle] as number) < seq) low = middle + 1
      else high = middle
    }
    return this.#seqs[low] === seq ? low : -1
  }

  #dropOldest(sink: DropSink, reason: 'overflow' | 'expired'): void {
    const seq = this.firstSeq as number
    sink.dropped(seq, this.shift() as Payload, reason)
  }

  #skipHoles(): void {
    while (this.#holes > 0 && this.#payloads[this.#head] === undefined) {
      this.#head += 1
      this.#holes -= 1
    }
  }

  /** Gives memory back: at once when empty, else when more than half is holes and past. Amortized O(1). */
  #compact(): void {
    if (this.length === 0) {
      this.#payloads = []
      this.#seqs = []
      this.#times = undefined
      this.#head = 0
      this.#holes = 0
      return
    }
    if (this.#head + this.#holes < 32 || (this.#head + this.#holes) * 2 < this.#payloads.length) return
    const kept = (_: unknown, index: number) => this.#payloads[index] !== undefined
    this.#seqs = this.#seqs.filter(kept)
    this.#times = this.#times?.filter(kept)
    this.#payloads = this.#payloads.filter(kept)
    this.#head = 0
    this.#holes = 0
  }
}
